// SPDX-License-Identifier: MIT
// The wait-for graph of deadlocks: who can never go on, and where the circles are. Pure: nodes in, marks out; tested on the host.
//
// A node is a thread that sleeps until one of its providers acts: the holder of a mutex, one of those who hold units of a semaphore,
// one of a pipe's writers. It can go on if any of them can; so it is stuck if all are. A provider that is no node can: it runs, or
// sleeps for something that will come, or for what nobody here knows.
//
//        t1 ──mutex──► t2 ──semaphore──► process 7 ─┬─► t3 ──join──► t1         t1, t2, t3 wait for each other; t4 waits
//        t4 ──mutex──► t1                           └─► t5                      behind them; none of it is so if t5 can go on
//
// solve() takes every node for stuck and then frees those that can go on, until there is none: what is left is the largest set
// that can never move. In it each node has a first provider in the set, so following those from any node ends in a circle.
//
// Locking: the caller's.
#pragma once
#include <boost/intrusive/list.hpp>
#include <span>

#include "kernel/lib/types.hpp"

namespace hd::ipc {

struct Provider {
    bool whole_process = false;  // any thread of process `id` will do
    i32 id = 0;
    friend bool operator==(const Provider&, const Provider&) = default;
};

struct GraphNode : boost::intrusive::list_base_hook<> {
    static constexpr usize kMostProviders = 8;

    i32 thread = 0, process = 0;
    u32 process_threads = 0;  // how many the process has, stuck or not
    u32 provider_count = 0;
    Provider providers[kMostProviders];

    bool stuck = true;  // solve()'s result
    u32 walk = 0;       // circle_of()'s: when it came by
    GraphNode* next_in_thread_chain = nullptr;
    GraphNode* next_in_process_chain = nullptr;

    std::span<const Provider> known_providers() const { return {providers, provider_count}; }
    // False: there are more than fit. Then the thread is no node.
    bool add_provider(Provider provider);
};

class WaitGraph {
public:
    // Each thread once, with at least one provider. The graph refers to it.
    void add(GraphNode& node);
    void solve();

    // What holds the stuck node up: the first of its providers, or of their threads.
    GraphNode& next(const GraphNode& node);
    // The circle that following next() from a stuck node ends in, by one of its members; null if that circle was told before.
    GraphNode* circle_of(GraphNode& node);

    using List = boost::intrusive::list<GraphNode>;
    List nodes;

private:
    static constexpr usize kBuckets = 256;
    static GraphNode*& chain(GraphNode* (&table)[kBuckets], i32 id) { return table[static_cast<u32>(id) % kBuckets]; }

    GraphNode* find_thread(i32 id);
    GraphNode* first_of_process(i32 id);
    bool can_act(const Provider& provider);
    bool can_go_on(const GraphNode& node);

    GraphNode* by_thread_[kBuckets] = {};
    GraphNode* by_process_[kBuckets] = {};
    u32 walks_ = 0;
};

}  // namespace hd::ipc
