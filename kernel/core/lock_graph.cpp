// SPDX-License-Identifier: MIT
#include "kernel/core/lock_graph.hpp"

#include "arch/cpu.hpp"

namespace hd::core::lock_graph {

constinit std::atomic<u64> g_inside[kRanks] = {};

namespace {

constinit std::atomic<u64> g_pairs{0};    // ranks of which two were held at once
constinit std::atomic<u64> g_irqs_on{0};  // ranks that were taken with interrupts on, when one of their edges was new
// Where an edge was seen first, for the text. Written after its bit: null until then.
constinit std::atomic<std::source_location> g_first[kRanks][kRanks] = {};
static_assert(decltype(g_first[0][0].load())().line() == 0 && std::atomic<std::source_location>::is_always_lock_free);

constexpr Rank rank_at(usize index) { return static_cast<Rank>(index); }

bool taken(Rank rank) { return g_inside[static_cast<usize>(rank)].load(std::memory_order_relaxed) != 0; }

// Was it held with interrupts on? A handler that came while it was the innermost lock says so too.
bool irqs_on(Rank rank) {
    return (g_irqs_on.load(std::memory_order_relaxed) & bit_of(rank)) != 0 || knows(rank, Rank::Interrupt);
}

template <class Function> void for_each_rank(Function function) {
    for (usize i = 1; i < kRanks; ++i)
        if (taken(rank_at(i))) function(rank_at(i));
}

template <class Function> void for_each_edge(Function function) {
    for (usize outside = 1; outside < kRanks; ++outside)
        for (usize rank = outside + 1; rank < kRanks; ++rank)
            if (knows(rank_at(outside), rank_at(rank)))
                function(rank_at(outside), rank_at(rank), g_first[outside][rank].load(std::memory_order_relaxed));
}

const char* kind_of(Rank rank) {
    return is_sleeping(rank) ? "sleeping" : is_spin(rank) ? "spin" : is_irq_spin(rank) ? "irq-spin" : "-";
}

void put_group(TextSink& sink, const char* name, const char* label, bool (*of_group)(Rank)) {
    format_to(sink, "  subgraph cluster_{} {{\n    label=\"{}\";\n", name, label);
    for_each_rank([&](Rank rank) {
        if (!of_group(rank)) return;
        format_to(sink, "    {} [label=\"{} {}\"{}];\n", rank_name(rank), static_cast<u32>(rank), rank_name(rank),
                  knows(Rank::Interrupt, rank) ? ", style=filled, fillcolor=lightgrey" : "");
    });
    sink.put("  }\n");
}

}  // namespace

void add_edge(Rank outside, Rank rank, const std::source_location& site) {
    if (arch::irqs_enabled()) g_irqs_on.fetch_or(bit_of(rank), std::memory_order_relaxed);
    const u64 before = g_inside[static_cast<usize>(rank)].fetch_or(bit_of(outside), std::memory_order_relaxed);
    if ((before & bit_of(outside)) == 0)
        g_first[static_cast<usize>(outside)][static_cast<usize>(rank)].store(site, std::memory_order_relaxed);
}

void add_pair(Rank rank) {
    if ((g_pairs.load(std::memory_order_relaxed) & bit_of(rank)) == 0)
        g_pairs.fetch_or(bit_of(rank), std::memory_order_relaxed);
}

void put_text(TextSink& sink) {
    sink.put("rank name             kind     seen\n");
    for_each_rank([&](Rank rank) {
        format_to(sink, "{:4} {:<16} {:<8}", static_cast<u32>(rank), rank_name(rank), kind_of(rank));
        if (irqs_on(rank)) sink.put(" interrupts-on");
        if (knows(Rank::Interrupt, rank)) sink.put(" in-interrupt");
        if ((g_pairs.load(std::memory_order_relaxed) & bit_of(rank)) != 0) sink.put(" pairs");
        sink.put("\n");
    });
    sink.put("\nheld -> taken inside it, and where that was seen first\n");
    for_each_edge([&](Rank outside, Rank rank, const std::source_location& site) {
        format_to(sink, "{} -> {} {}:{}\n", rank_name(outside), rank_name(rank), site.file_name(), site.line());
    });
}

// A handler's marks are set apart: grey is what handlers take, dashed what handlers came into.
void put_dot(TextSink& sink) {
    sink.put("digraph lockdep {\n  rankdir=LR;\n  node [shape=box];\n");
    put_group(sink, "sleeping", "sleeping locks", is_sleeping);
    put_group(sink, "spin", "spinlocks", is_spin);
    put_group(sink, "irq", "spinlocks with interrupts off", is_irq_spin);
    sink.put("  Interrupt [shape=diamond];\n");
    for_each_edge([&](Rank outside, Rank rank, const std::source_location& site) {
        format_to(sink, "  {} -> {} [tooltip=\"{}:{}\"{}];\n", rank_name(outside), rank_name(rank), site.file_name(),
                  site.line(), rank == Rank::Interrupt ? ", style=dashed" : "");
    });
    sink.put("}\n");
}

}  // namespace hd::core::lock_graph
