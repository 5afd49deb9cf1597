// SPDX-License-Identifier: MIT
// The wait-for graph against a model: who can go on spreads from those who can, one step at a time, until nobody is added.
#include <catch2/catch.hpp>

#include <deque>
#include <random>
#include <set>

#include "kernel/ipc/deadlock/graph.hpp"

namespace {

using namespace hd;
using ipc::GraphNode;
using ipc::Provider;
using ipc::WaitGraph;

struct Scene {
    std::deque<GraphNode> nodes;
    WaitGraph graph;
    ~Scene() { graph.nodes.clear(); }

    GraphNode& add(i32 thread, i32 process, u32 process_threads, std::initializer_list<Provider> providers) {
        GraphNode& node = nodes.emplace_back();
        node.thread = thread, node.process = process, node.process_threads = process_threads;
        for (const Provider& provider : providers) REQUIRE(node.add_provider(provider));
        graph.add(node);
        return node;
    }
};

Provider thread(i32 id) { return {false, id}; }
Provider process(i32 id) { return {true, id}; }

}  // namespace

TEST_CASE("wait graph: circles, and who waits behind them") {
    Scene scene;
    GraphNode& a = scene.add(1, 1, 9, {thread(2)});
    GraphNode& b = scene.add(2, 1, 9, {process(7)});
    GraphNode& c = scene.add(3, 7, 2, {thread(1)});
    GraphNode& d = scene.add(4, 7, 2, {thread(4)});  // it waits for itself
    GraphNode& behind = scene.add(5, 1, 9, {thread(1)});
    GraphNode& free = scene.add(6, 1, 9, {thread(1), thread(99)});  // 99 runs
    GraphNode& freed = scene.add(8, 1, 9, {thread(6)});
    scene.graph.solve();
    CHECK((a.stuck && b.stuck && c.stuck && d.stuck && behind.stuck));
    CHECK_FALSE((free.stuck || freed.stuck));
    // b is held up by both threads of process 7; the one that stands first leads either to a, or to itself alone.
    std::set<GraphNode*> members;
    for (GraphNode* node : {&a, &b, &c, &d, &behind})
        if (GraphNode* const member = scene.graph.circle_of(*node)) members.insert(member);
    CHECK(members.count(&d) == 1);
    CHECK(members.size() <= 2);
}

TEST_CASE("wait graph: a process acts if one of its threads can") {
    Scene scene;
    GraphNode& waiter = scene.add(1, 1, 1, {process(2)});
    scene.add(2, 2, 2, {thread(1)});  // the other thread of process 2 is no node
    scene.graph.solve();
    CHECK_FALSE(waiter.stuck);
}

TEST_CASE("wait graph: as many providers as fit, each once") {
    GraphNode node;
    for (int round = 0; round < 2; ++round)
        for (i32 id = 0; id < i32{GraphNode::kMostProviders}; ++id) CHECK(node.add_provider(thread(id)));
    CHECK_FALSE(node.add_provider(thread(100)));
    CHECK(node.add_provider(process(1)) == false);
}

TEST_CASE("wait graph: random graphs against the model") {
    for (unsigned seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](int limit) { return static_cast<i32>(random() % static_cast<unsigned>(limit)); };
        Scene scene;
        const int threads = 2 + below(40), processes = 1 + below(6), sparse = 1 + below(3);
        std::vector<std::vector<i32>> members(static_cast<usize>(processes));
        std::vector<bool> is_node(static_cast<usize>(threads));
        for (i32 id = 0; id < threads; ++id) members[static_cast<usize>(below(processes))].push_back(id);
        for (i32 number = 0; number < processes; ++number)
            for (const i32 id : members[static_cast<usize>(number)]) {
                if (below(8) == 0) continue;  // it runs
                is_node[static_cast<usize>(id)] = true;
                GraphNode& node = scene.nodes.emplace_back();
                node.thread = id, node.process = number;
                node.process_threads = static_cast<u32>(members[static_cast<usize>(number)].size());
                for (int i = below(sparse); i >= 0; --i)
                    node.add_provider(below(3) == 0 ? process(below(processes)) : thread(below(threads)));
            }
        for (GraphNode& node : scene.nodes) scene.graph.add(node);
        scene.graph.solve();

        std::set<i32> able;
        for (i32 id = 0; id < threads; ++id)
            if (!is_node[static_cast<usize>(id)]) able.insert(id);
        const auto acts = [&](const Provider& provider) {
            if (!provider.whole_process) return able.count(provider.id) != 0;
            const auto& group = members[static_cast<usize>(provider.id)];
            // A process without threads has nobody who could be stuck.
            return group.empty() ||
                   std::any_of(group.begin(), group.end(), [&](i32 id) { return able.count(id) != 0; });
        };
        for (usize before = ~usize{0}; before != able.size();) {
            before = able.size();
            for (const GraphNode& node : scene.nodes)
                if (std::any_of(node.providers, node.providers + node.provider_count, acts)) able.insert(node.thread);
        }
        for (GraphNode& node : scene.nodes) {
            CAPTURE(node.thread);
            CHECK(node.stuck == (able.count(node.thread) == 0));
        }
        // From every stuck node a walk ends in a circle of stuck ones, and each circle is told once.
        std::set<const GraphNode*> told;
        for (GraphNode& node : scene.nodes) {
            if (!node.stuck) continue;
            GraphNode* const first = scene.graph.circle_of(node);
            if (first == nullptr) continue;
            const GraphNode* at = first;
            do {
                CHECK(at->stuck);
                CHECK(told.insert(at).second);
                at = &scene.graph.next(*at);
            } while (at != first);
        }
    }
}
