// SPDX-License-Identifier: MIT
// See graph.hpp.
#include "kernel/ipc/deadlock/graph.hpp"

#include <algorithm>
#include <utility>

namespace hd::ipc {

bool GraphNode::add_provider(Provider provider) {
    if (std::ranges::find(known_providers(), provider) != known_providers().end()) return true;
    if (provider_count == kMostProviders) return false;
    providers[provider_count++] = provider;
    return true;
}

void WaitGraph::add(GraphNode& node) {
    nodes.push_back(node);
    GraphNode*& threads = chain(by_thread_, node.thread);
    node.next_in_thread_chain = std::exchange(threads, &node);
    GraphNode*& processes = chain(by_process_, node.process);
    node.next_in_process_chain = std::exchange(processes, &node);
}

GraphNode* WaitGraph::find_thread(i32 id) {
    GraphNode* node = chain(by_thread_, id);
    while (node != nullptr && node->thread != id) node = node->next_in_thread_chain;
    return node;
}

GraphNode* WaitGraph::first_of_process(i32 id) {
    GraphNode* node = chain(by_process_, id);
    while (node != nullptr && node->process != id) node = node->next_in_process_chain;
    return node;
}

bool WaitGraph::can_act(const Provider& provider) {
    if (!provider.whole_process) {
        const GraphNode* const node = find_thread(provider.id);
        return node == nullptr || !node->stuck;
    }
    u32 stuck = 0, threads = 1;
    for (const GraphNode* node = chain(by_process_, provider.id); node != nullptr; node = node->next_in_process_chain) {
        if (node->process != provider.id) continue;
        threads = node->process_threads;
        stuck += node->stuck ? 1 : 0;
    }
    return stuck < threads;
}

bool WaitGraph::can_go_on(const GraphNode& node) {
    return node.provider_count == 0 ||
           std::ranges::any_of(node.known_providers(), [&](const Provider& provider) { return can_act(provider); });
}

void WaitGraph::solve() {
    const auto free_some = [&](auto begin, auto end) {
        bool freed = false;
        for (auto it = begin; it != end; ++it) {
            if (!it->stuck || !can_go_on(*it)) continue;
            it->stuck = false;
            freed = true;
        }
        return freed;
    };
    // In both directions, so that a long chain does not take as many rounds as it has links, whichever way it lies.
    while (free_some(nodes.begin(), nodes.end()) && free_some(nodes.rbegin(), nodes.rend())) {}
}

GraphNode& WaitGraph::next(const GraphNode& node) {
    const Provider& first = node.providers[0];
    return first.whole_process ? *first_of_process(first.id) : *find_thread(first.id);
}

GraphNode* WaitGraph::circle_of(GraphNode& node) {
    const u32 walk = ++walks_;
    GraphNode* at = &node;
    while (at->walk == 0) {
        at->walk = walk;
        at = &next(*at);
    }
    return at->walk == walk ? at : nullptr;
}

}  // namespace hd::ipc
