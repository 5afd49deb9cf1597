// SPDX-License-Identifier: MIT
// What /proc/PID/{stat,status,statm,maps} say. Formats: proc(5), and Linux 6.1's fs/proc/array.c and task_mmu.c.
#include <bit>
#include <cstring>

#include "kernel/abi/system.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/task/group.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/task/tree.hpp"

namespace hd::fs::proc {

namespace {

constexpr u64 kPageKib = mm::kPageSize / 1024;

u64 ticks(Nanoseconds time) { return static_cast<u64>(time.raw) / (1'000'000'000 / abi::kUserHz); }

// Everything that several of the files show, taken at once.
struct Facts {
    char state;
    i32 parent = 0, group = 0, session = 0, terminal_group = -1;
    u64 terminal = 0;
    usize threads = 0;
    i32 exit_signal = 0, exit_status = 0;
    u64 thread_pending = 0, process_pending = 0, blocked = 0, ignored = 0, caught = 0;
    usize queued = 0;
    task::Usage usage, children;
    RefPtr<task::Thread> speaker;
    task::Resources resources;
    mm::SpaceStatistics space{};
    mm::AddressSpace::Layout layout{};
};

void collect_signals(const Subject& subject, Facts& facts) {
    task::Process& process = *subject.process;
    const task::SignalGuard guard(process.signal_lock);
    facts.threads = process.threads.size() + (process.ended_leader ? 1 : 0);
    facts.exit_status = process.exit_status;
    facts.process_pending = process.pending.set();
    facts.queued = process.pending.queued();
    if (facts.speaker) {
        facts.thread_pending = facts.speaker->pending.set();
        facts.blocked = facts.speaker->blocked;
    }
    for (int signal = 1; signal <= abi::kSignalCount; ++signal) {
        const u64 handler = process.actions[signal - 1].handler;
        if (handler == abi::kSIG_IGN)
            facts.ignored |= abi::signal_bit(signal);
        else if (handler != abi::kSIG_DFL)
            facts.caught |= abi::signal_bit(signal);
    }
}

Facts collect(const Subject& subject) {
    task::Process& process = *subject.process;
    Facts facts;
    facts.speaker = subject.speaker();
    facts.state = facts.speaker ? task::state_letter(*facts.speaker) : 'Z';
    facts.resources = resources_of(process);
    {
        const task::TreeGuard guard(task::g_tree_lock);
        facts.parent = process.parent != nullptr ? process.parent->pid() : 0;
        facts.group = process.group->id();
        facts.session = process.group->session->id();
        facts.exit_signal = process.exit_signal;
        facts.children = process.children_usage;
    }
    if (const auto terminal = task::terminal_of(process)) {
        facts.terminal = terminal->device_number();
        if (const auto foreground = terminal->foreground_group()) facts.terminal_group = foreground->id();
    }
    collect_signals(subject, facts);
    facts.usage = subject.thread ? task::usage_of(*subject.thread) : process.usage();
    if (facts.resources.space) {
        facts.space = facts.resources.space->statistics();
        facts.layout = facts.resources.space->layout;
    }
    return facts;
}

// Linux's numbers: 0 to 39 for nice -20 to 19, below 0 for real-time threads.
int shown_priority(const task::Thread& thread) {
    const int realtime = sched::realtime_slot(thread);  // lent by others or its own
    return realtime != 0 ? -1 - realtime : 20 + thread.nice;
}

const char* state_name(char letter) {
    switch (letter) {
    case 'R': return "R (running)";
    case 'S': return "S (sleeping)";
    case 'D': return "D (disk sleep)";
    case 'T': return "T (stopped)";
    default: return "Z (zombie)";
    }
}

void put_mask(TextSink& sink, const char* label, u64 mask) { format_to(sink, "{}:\t{:016x}\n", label, mask); }

void put_ids(TextSink& sink, const char* label, u32 real, u32 effective, u32 saved, u32 file_system) {
    format_to(sink, "{}:\t{}\t{}\t{}\t{}\n", label, real, effective, saved, file_system);
}

void put_cpu_list(TextSink& sink, CpuMask mask) {
    const char* separator = "";
    for (u32 first = 0; first < kMaxCpus; ++first) {
        if (!mask.has(CpuId{first})) continue;
        u32 last = first;
        while (last + 1 < kMaxCpus && mask.has(CpuId{last + 1})) ++last;
        format_to(sink, "{}{}", separator, first);
        if (last != first) format_to(sink, "-{}", last);
        separator = ",";
        first = last;
    }
}

}  // namespace

void put_name(TextSink& sink, const Subject& subject) {
    if (const auto thread = subject.speaker()) return sink.put(thread->name);
    char name[sizeof subject.process->name];
    {
        const task::SignalGuard guard(subject.process->signal_lock);
        std::memcpy(name, subject.process->name, sizeof name);
    }
    sink.put(name);
}

Result<> put_stat(TextSink& sink, const Subject& subject) {
    const Facts facts = collect(subject);
    const auto& layout = facts.layout;
    const task::Thread* thread = facts.speaker.get();
    format_to(sink, "{} (", subject.id());
    put_name(sink, subject);
    format_to(sink, ") {} {} {} {} {} {} 0", facts.state, facts.parent, facts.group, facts.session, facts.terminal,
              facts.terminal_group);
    format_to(sink, " {} {} {} {} {} {} {} {}", facts.space.minor_faults, facts.children.minor_faults,
              facts.space.major_faults, facts.children.major_faults, ticks(facts.usage.user), ticks(facts.usage.system),
              ticks(facts.children.user), ticks(facts.children.system));
    format_to(sink, " {} {} {} 0 {} {} {} {}", thread ? shown_priority(*thread) : 20, thread ? thread->nice : 0,
              facts.threads, ticks(thread ? thread->start_time : subject.process->start_time),
              facts.space.virtual_pages * mm::kPageSize, facts.space.resident_pages,
              subject.process->limits[abi::kRLIMIT_RSS].rlim_cur);
    // Where it executes (kstkesp, kstkeip) is shown of no process, as Linux does for running ones.
    format_to(sink, " {} {} {} 0 0 {} {} {} {} {} 0 0", layout.code_start.raw, layout.code_end.raw,
              layout.stack_start.raw, facts.thread_pending & 0x7fff'ffff, facts.blocked & 0x7fff'ffff,
              facts.ignored & 0x7fff'ffff, facts.caught & 0x7fff'ffff, facts.state == 'R' ? 0 : 1);
    format_to(sink, " {} {} {} {} 0 0 0", facts.exit_signal, thread ? thread->cpu.load() : 0,
              thread ? thread->realtime_priority : 0, thread ? thread->policy : sched::Policy::Normal);
    format_to(sink, " {} {} {} {} {} {} {} {}\n", layout.data_start.raw, layout.data_end.raw, layout.heap_start.raw,
              layout.arguments_start.raw, layout.arguments_end.raw, layout.environment_start.raw,
              layout.environment_end.raw, facts.exit_status);
    return {};
}

Result<> put_status(TextSink& sink, const Subject& subject) {
    const Facts facts = collect(subject);
    const Credentials& whose = facts.resources.credentials;
    sink.put("Name:\t");
    put_name(sink, subject);
    if (facts.resources.fs) format_to(sink, "\nUmask:\t{:04o}", facts.resources.fs->umask());
    format_to(sink, "\nState:\t{}\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n", state_name(facts.state),
              subject.process->pid(), subject.id(), facts.parent);
    put_ids(sink, "Uid", whose.uid, whose.euid, whose.suid, whose.euid);
    put_ids(sink, "Gid", whose.gid, whose.egid, whose.sgid, whose.egid);
    format_to(sink, "FDSize:\t{}\nGroups:\t", facts.resources.files ? facts.resources.files->capacity() : 0);
    for (usize i = 0; i < whose.group_count; ++i) format_to(sink, "{} ", whose.groups[i]);
    sink.put("\n");
    if (facts.resources.space) {
        const auto put = [&](const char* label, u64 pages) {
            format_to(sink, "{}:\t{:8} kB\n", label, pages * kPageKib);
        };
        put("VmSize", facts.space.virtual_pages);
        put("VmRSS", facts.space.resident_pages);
        put("VmData", facts.space.data_pages);
        put("VmStk", facts.space.stack_pages);
        put("VmExe", facts.space.text_pages);
    }
    format_to(sink, "Threads:\t{}\nSigQ:\t{}/{}\n", facts.threads, facts.queued,
              subject.process->limits[abi::kRLIMIT_SIGPENDING].rlim_cur);
    put_mask(sink, "SigPnd", facts.thread_pending);
    put_mask(sink, "ShdPnd", facts.process_pending);
    put_mask(sink, "SigBlk", facts.blocked);
    put_mask(sink, "SigIgn", facts.ignored);
    put_mask(sink, "SigCgt", facts.caught);
    if (const task::Thread* thread = facts.speaker.get()) {
        const CpuMask allowed = thread->affinity & core::online_cpus();
        format_to(sink, "Cpus_allowed:\t{:x}\nCpus_allowed_list:\t", allowed.bits());
        put_cpu_list(sink, allowed);
        format_to(sink, "\nvoluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
                  facts.usage.voluntary_switches, facts.usage.involuntary_switches);
    }
    return {};
}

Result<> put_statm(TextSink& sink, const Subject& subject) {
    mm::SpaceStatistics space{};
    if (const auto resources = resources_of(*subject.process); resources.space) space = resources.space->statistics();
    // Shared pages are not counted.
    format_to(sink, "{} {} 0 {} 0 {} 0\n", space.virtual_pages, space.resident_pages, space.text_pages,
              space.data_pages + space.stack_pages);
    return {};
}

Result<> put_maps(TextSink& sink, const Subject& subject) {
    const task::Resources resources = resources_of(*subject.process);
    TRY(check_inspect(resources));
    if (!resources.space) return {};
    const auto layout = resources.space->layout;
    resources.space->for_each_vma([&](const mm::Vma& vma) {
        char line[96];
        BufferSink text(line);
        const mm::PageSource::Description source =
            vma.source ? vma.source->describe_source() : mm::PageSource::Description{};
        format_to(text, "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ", vma.begin.raw, vma.end.raw,
                  vma.protection.read ? 'r' : '-', vma.protection.write ? 'w' : '-', vma.protection.execute ? 'x' : '-',
                  vma.shared ? 's' : 'p', vma.source ? vma.offset : 0, source.device_major, source.device_minor,
                  source.inode);
        sink.put(text.view());
        const char* name = vma.source                         ? ""
                           : vma.contains(layout.stack_start) ? "[stack]"
                           : vma.contains(layout.heap_start)  ? "[heap]"
                                                              : nullptr;
        if (name != nullptr) {  // names begin in the same column
            for (usize column = text.view().size(); column < 73; ++column) sink.put(" ");
            if (vma.source)
                vma.source->source_path(sink);
            else
                sink.put(name);
        }
        sink.put("\n");
    });
    return {};
}

}  // namespace hd::fs::proc
