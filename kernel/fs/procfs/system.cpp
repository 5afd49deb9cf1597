// SPDX-License-Identifier: MIT
// What /proc says of the machine and of the kernel as a whole, and the table of it. Formats: proc(5), and Linux 6.1's
// fs/proc where the page is silent.
#include <atomic>

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/irq.hpp"
#include "arch/timer.hpp"
#include "kernel/core/irq.hpp"
#include "kernel/core/lock_graph.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/uts.hpp"
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/fs/procfs/procfs.hpp"
#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/cache/page_cache.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/sleep_watch.hpp"
#include "kernel/time/timer.hpp"

namespace hd::fs {

namespace {

constinit std::atomic<u8> g_exit_status{0};  // relaxed: one value

}  // namespace

u8 exit_status() { return g_exit_status.load(std::memory_order_relaxed); }

namespace proc {

namespace {

constexpr i64 kNanosecondsPerTick = 1'000'000'000 / abi::kUserHz;

void put_kib(TextSink& sink, std::string_view label, u64 pages) {
    format_to(sink, "{:<16}{:8} kB\n", label, pages * (mm::kPageSize / 1024));
}

void put_meminfo(TextSink& sink) {
    const mm::FrameCounts counts = mm::frame_counts();
    const u64 free = counts.free, cached = mm::cached_pages(), slab = mm::slab_frames();
    put_kib(sink, "MemTotal:", counts.total);
    put_kib(sink, "MemFree:", free);
    put_kib(sink, "MemAvailable:", free);  // nothing can be reclaimed: cached pages are the files themselves
    put_kib(sink, "Buffers:", 0);
    put_kib(sink, "Cached:", cached);
    put_kib(sink, "SwapCached:", 0);
    put_kib(sink, "SwapTotal:", 0);
    put_kib(sink, "SwapFree:", 0);
    put_kib(sink, "Dirty:", 0);
    put_kib(sink, "Writeback:", 0);
    put_kib(sink, "Shmem:", cached);
    put_kib(sink, "KReclaimable:", 0);
    put_kib(sink, "Slab:", slab);
    put_kib(sink, "SReclaimable:", 0);
    put_kib(sink, "SUnreclaim:", slab);
    put_kib(sink, "KernelStack:", mm::kernel_stack_count() * (arch::kKernelStackSize / mm::kPageSize));
}

void put_cpu_line(TextSink& sink, const sched::CpuStatistics& cpu) {
    format_to(sink, " {} {} {} {} 0 0 0 0 0 0\n", cpu.user_ticks, cpu.nice_ticks, cpu.system_ticks, cpu.idle_ticks);
}

u64 interrupts_of(CpuId cpu) {
    u64 sum = arch::unexpected_interrupts(cpu);
    for (u32 line = 0; line < arch::kIrqLines; ++line) sum += core::irq_count(line, cpu);
    return sum;
}

void put_machine_stat(TextSink& sink) {
    sched::CpuStatistics sum{};
    u64 interrupts = 0;
    core::online_cpus().for_each([&](CpuId cpu) {
        const sched::CpuStatistics one = sched::statistics(cpu);
        sum.user_ticks += one.user_ticks;
        sum.nice_ticks += one.nice_ticks;
        sum.system_ticks += one.system_ticks;
        sum.idle_ticks += one.idle_ticks;
        sum.switches += one.switches;
        sum.runnable += one.runnable;
        interrupts += interrupts_of(cpu);
    });
    sink.put("cpu ");
    put_cpu_line(sink, sum);
    core::online_cpus().for_each([&](CpuId cpu) {
        format_to(sink, "cpu{}", cpu);
        put_cpu_line(sink, sched::statistics(cpu));
    });
    const i64 boot_time = (time::wall_clock() - time::now()).raw / 1'000'000'000;
    format_to(sink, "intr {}\nctxt {}\nbtime {}\nprocesses {}\nprocs_running {}\nprocs_blocked 0\n", interrupts,
              sum.switches, boot_time, task::last_pid(), sum.runnable);
}

void put_interrupts(TextSink& sink) {
    sink.put("    ");
    core::online_cpus().for_each([&](CpuId cpu) { format_to(sink, "       CPU{:<2}", cpu); });
    sink.put("\n");
    for (u32 line = 0; line < arch::kIrqLines; ++line) {
        if (core::irq_name(line) == nullptr) continue;
        format_to(sink, "{:3}:", line);
        core::online_cpus().for_each([&](CpuId cpu) { format_to(sink, " {:10}", core::irq_count(line, cpu)); });
        format_to(sink, "  {}\n", core::irq_name(line));
    }
    sink.put("ERR:");
    core::online_cpus().for_each([&](CpuId cpu) { format_to(sink, " {:10}", arch::unexpected_interrupts(cpu)); });
    sink.put("\n");
}

void put_cpuinfo(TextSink& sink) {
    const u64 khz = arch::cycles_khz();
    core::online_cpus().for_each([&](CpuId cpu) {
        format_to(sink, "processor\t: {}\nmodel name\t: {}\ncpu MHz\t\t: {}.{:03}\n", cpu, arch::cpu_model_name(),
                  khz / 1000, khz % 1000);
        format_to(sink, "physical id\t: 0\nsiblings\t: {}\ncore id\t\t: {}\ncpu cores\t: {}\n", core::cpu_count(), cpu,
                  core::cpu_count());
        format_to(sink, "flags\t\t: {}\nbogomips\t: {}.{:02}\n\n", arch::cpu_feature_names(), khz / 500, khz / 5 % 100);
    });
}

void put_loadavg(TextSink& sink) {
    u64 averages[3];
    sched::load_averages(averages);
    for (const u64 average : averages) {
        const u64 rounded = average + 65536 / 200;
        format_to(sink, "{}.{:02} ", rounded >> 16, (rounded & 0xffff) * 100 >> 16);
    }
    u32 running = 0;
    core::online_cpus().for_each([&](CpuId cpu) { running += sched::statistics(cpu).runnable; });
    format_to(sink, "{}/{} {}\n", running, task::thread_count(), task::last_pid());
}

void put_uptime(TextSink& sink) {
    const i64 up = time::now().raw / kNanosecondsPerTick;
    u64 idle = 0;
    core::online_cpus().for_each([&](CpuId cpu) { idle += sched::statistics(cpu).idle_ticks; });
    format_to(sink, "{}.{:02} {}.{:02}\n", up / abi::kUserHz, up % abi::kUserHz, idle / 100, idle % 100);
}

void put_version(TextSink& sink) {
    const abi::Utsname names = core::system_names();
    format_to(sink, "{} version {} (gcc {}) {}\n", names.sysname, names.release, __VERSION__, names.version);
}

void put_filesystems(TextSink& sink) {
    for (const FileSystemType& type : file_system_types()) format_to(sink, "nodev\t{}\n", type.name);
}

void put_command_line(TextSink& sink) { format_to(sink, "{}\n", arch::g_boot_info.command_line); }

void put_slabinfo(TextSink& sink) {
    sink.put(
        "slabinfo - version: 2.1\n"
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
        " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    mm::for_each_slab(
        [](const mm::SlabStatistics& slab, void* argument) {
            format_to(*static_cast<TextSink*>(argument),
                      "{:<17} {:6} {:6} {:6} {:4} {:4} : tunables    0    0    0 : slabdata {:6} {:6}      0\n",
                      slab.name, slab.active_objects, slab.total_objects, slab.object_size, slab.objects_per_slab,
                      slab.frames_per_slab, slab.slabs, slab.slabs);
        },
        &sink);
}

// What is in use, exactly, for the proof that a program's end gives everything back: equal texts mean that nothing was lost.
// What only waits to be used again - cached names, slabs, stacks - is dropped or left out.
void put_resources(TextSink& sink) {
    DentryCache::drop_unused();
    const mm::FrameCounts counts = mm::frame_counts();
    format_to(sink, "frames {}\n", counts.total - counts.free - mm::slab_frames() - mm::vmap_frames());
    mm::for_each_slab(
        [](const mm::SlabStatistics& slab, void* argument) {
            if (slab.active_objects != 0)
                format_to(*static_cast<TextSink*>(argument), "{} {}\n", slab.name, slab.active_objects);
        },
        &sink);
}

void put_buddyinfo(TextSink& sink) {
    sink.put("Node 0, zone   Normal ");
    for (const u64 blocks : mm::frame_counts().free_blocks) format_to(sink, "{:6} ", blocks);
    sink.put("\n");
}

Result<> store_exit_status(std::string_view text, const Subject&) {
    const auto status = take_number(text);
    if (!status || !text.empty() || *status > 255) return fail(Errno::kEINVAL);
    g_exit_status.store(static_cast<u8>(*status), std::memory_order_relaxed);
    return {};
}

// A setting in seconds.
template <auto kGet> void put_seconds(TextSink& sink) { format_to(sink, "{}\n", kGet().raw / 1'000'000'000); }
template <auto kSet, u64 kMost> Result<> store_seconds(std::string_view text, const Subject&) {
    const auto number = take_number(text);
    if (!number || !text.empty() || *number > kMost) return fail(Errno::kEINVAL);
    kSet(seconds(static_cast<i64>(*number)));
    return {};
}

// What Linux's magic system request key does, as far as it makes sense here (proc(5), sysrq-trigger).
Result<> store_sysrq(std::string_view text, const Subject&) {
    switch (text.empty() ? 0 : text.front()) {
    case 'b': arch::reboot();
    case 'c': core::panic("a crash was asked for through /proc/sysrq-trigger");
    case 'o': arch::power_off(arch::ExitStatus::Success);
    default: return fail(Errno::kEINVAL);
    }
}

// A text that does not depend on who is told of.
template <auto kPut> Result<> of_machine(TextSink& sink, const Subject&) {
    kPut(sink);
    return {};
}

// One of uname(2)'s names, and how it is set.
template <auto kField> Result<> put_uts(TextSink& sink, const Subject&) {
    const abi::Utsname names = core::system_names();
    format_to(sink, "{}\n", names.*kField);
    return {};
}
template <auto kSet> Result<> store_uts(std::string_view text, const Subject&) { return kSet(text); }

template <u64 kValue> void put_constant(TextSink& sink) { format_to(sink, "{}\n", kValue); }

void put_exit_status(TextSink& sink) { format_to(sink, "{}\n", exit_status()); }

void put_nothing(TextSink&) {}

void put_self(TextSink& sink) { format_to(sink, "{}", task::current_process().pid()); }

void put_thread_self(TextSink& sink) {
    format_to(sink, "{}/task/{}", task::current_process().pid(), task::current_thread().number());
}

void put_mounts_link(TextSink& sink) { sink.put("self/mounts"); }

using abi::Utsname;

constexpr Node kKernelNodes[] = {
    file("ostype", put_uts<&Utsname::sysname>),
    file("osrelease", put_uts<&Utsname::release>),
    file("version", put_uts<&Utsname::version>),
    file("hostname", put_uts<&Utsname::nodename>, 0644, store_uts<core::set_host_name>),
    file("domainname", put_uts<&Utsname::domainname>, 0644, store_uts<core::set_domain_name>),
    file("hung_task_timeout_secs", of_machine<put_seconds<task::sleep_limit>>, 0644,
         store_seconds<task::set_sleep_limit, task::kMaxSleepLimit>),
    file("livelock_secs", of_machine<put_seconds<task::livelock_window>>, 0644,
         store_seconds<task::set_livelock_window, task::kMaxLivelockWindow>),
    file("pid_max", of_machine<put_constant<task::PidTable::kLimit>>),
    file("ngroups_max", of_machine<put_constant<Credentials::kMaxGroups>>),
};
constexpr Node kSysNodes[] = {directory("kernel", kKernelNodes)};
constexpr Node kHeddleNodes[] = {
    file("exit_status", of_machine<put_exit_status>, 0644, store_exit_status),
    file("resources", of_machine<put_resources>, 0400),  // counting empties the name cache first
};
constexpr Node kRootNodes[] = {
    link("self", of_machine<put_self>),
    link("thread-self", of_machine<put_thread_self>),
    link("mounts", of_machine<put_mounts_link>),
    file("buddyinfo", of_machine<put_buddyinfo>),
    file("cmdline", of_machine<put_command_line>),
    file("cpuinfo", of_machine<put_cpuinfo>),
    file("filesystems", of_machine<put_filesystems>),
    file("interrupts", of_machine<put_interrupts>),
    file("loadavg", of_machine<put_loadavg>),
    file("lockdep", of_machine<core::lock_graph::put_text>),
    file("lockdep.dot", of_machine<core::lock_graph::put_dot>),
    file("meminfo", of_machine<put_meminfo>),
    file("slabinfo", of_machine<put_slabinfo>, 0400),
    file("stat", of_machine<put_machine_stat>),
    file("sysrq-trigger", of_machine<put_nothing>, 0200, store_sysrq),
    file("uptime", of_machine<put_uptime>),
    file("version", of_machine<put_version>),
    directory("sys", kSysNodes),
    directory("heddle", kHeddleNodes),
};

}  // namespace

constinit const Node kRoot = directory("", kRootNodes, &kProcesses);

}  // namespace proc
}  // namespace hd::fs
