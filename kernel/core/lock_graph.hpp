// SPDX-License-Identifier: MIT
// The lock-order graph as it was observed: an edge A -> B says that B was taken while A was the innermost lock held. Every edge
// leads from a lower to a higher rank (held_locks.cpp adds no other), so the graph has no cycle, and its paths say what was taken
// inside what. /proc/lockdep shows it, and /proc/lockdep.dot as a drawing.
//
// Bits that are only ever set: reading and setting take no lock, and a reader may at worst miss what is new. All accesses are
// relaxed, since nothing is published with a bit; a CPU that misses one only records the edge again. Any context.
#pragma once
#include <atomic>
#include <source_location>

#include "kernel/core/rank.hpp"
#include "kernel/lib/format.hpp"

namespace hd::core::lock_graph {

inline constexpr usize kRanks = static_cast<usize>(Rank::kCount);
static_assert(kRanks <= 64);

// Of each rank, the ranks it was taken inside, a bit each; bit 0 (None): with nothing held.
extern std::atomic<u64> g_inside[kRanks];

constexpr u64 bit_of(Rank rank) { return u64{1} << static_cast<u32>(rank); }

inline bool knows(Rank outside, Rank rank) {
    return (g_inside[static_cast<usize>(rank)].load(std::memory_order_relaxed) >> static_cast<u32>(outside) & 1) != 0;
}

// `rank` is taken inside `outside`, for the first time or almost; `site`: there.
void add_edge(Rank outside, Rank rank, const std::source_location& site);
// Two locks of the rank are held at once.
void add_pair(Rank rank);

void put_text(TextSink& sink);
void put_dot(TextSink& sink);

}  // namespace hd::core::lock_graph
