// SPDX-License-Identifier: MIT
// The boot ladder: read this file first. Each rung may use what the rungs above it in this list have set up.
//
//     1 CPU            descriptor tables, exceptions: from here on a bug is a report, not a reset
//     2 frames, early  physical memory handed out for good, before there are records of it
//     3 paging         the final kernel page tables
//     4 frames, slabs  allocation and freeing of frames and objects
//     5 interrupts     ACPI tables, interrupt controllers, the clock
//     6 scheduler      this code becomes the boot CPU's idle thread; interrupts on
//     7 other CPUs     one after the other, each ends in its idle loop
//     8 first thread   file systems, devices, then the first program, /init
//
// docs/boot.md walks down the same ladder from the reset vector.
#include <algorithm>
#include <string_view>

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/upcalls.hpp"
#include "kernel/core/command_line.hpp"
#include "kernel/core/ktest.hpp"
#include "kernel/core/log.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/drivers/drivers.hpp"
#include "kernel/fs/devfs/devfs.hpp"
#include "kernel/fs/initramfs/initramfs.hpp"
#include "kernel/fs/procfs/procfs.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/ipc/anonymous_file.hpp"
#include "kernel/ipc/deadlock/watch.hpp"
#include "kernel/ipc/epoll.hpp"
#include "kernel/ipc/futex.hpp"
#include "kernel/ipc/posix_queue.hpp"
#include "kernel/ipc/socket/socket.hpp"
#include "kernel/ipc/sysv_sem.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/exec/vdso.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/sleep_watch.hpp"
#include "kernel/time/timer.hpp"
#include "kernel/tty/terminal.hpp"

namespace hd {

namespace {

constexpr u64 kLeastMemory = u64{16} << 20;

constinit Late<sched::Entity> g_idle[kMaxCpus];
constinit u64 g_entered_at = 0;  // cycles, for the length of the boot

Result<void*> early_memory(usize bytes) {
    return mm::direct_map(mm::early_frames(align_up(bytes, usize{mm::kPageSize}) / mm::kPageSize));
}

Result<void*> allocate_percpu(usize bytes) {
    if (void* memory = mm::kmalloc(bytes)) return memory;
    return fail(Errno::kENOMEM);
}

void check_memory() {
    u64 usable = 0;
    for (const arch::MemoryRegion& region : arch::g_boot_info.memory())
        if (region.kind == arch::MemoryKind::Usable) usable += region.range.size();
    if (usable < kLeastMemory) core::boot_failure("there is too little memory: Heddle needs 16 MiB");
    if (arch::g_boot_info.initramfs.size() == 0)
        core::boot_failure("there is no initramfs: the boot loader must load one as a module");
}

// Rung 8, in a thread of its own, because from here on things may sleep.
void first_thread(void*) {
    fs::mount_root();
    const arch::PhysRange archive = arch::g_boot_info.initramfs;
    const auto* bytes = static_cast<const u8*>(mm::direct_map(archive.begin));
    fs::unpack_initramfs({bytes, archive.size()});
    mm::release_range(archive);
    drivers::init();
    tty::init();
    fs::mount_devfs();
    fs::mount_procfs();
    task::init_sleep_watch();
    task::init_livelock_watch();
    if (core::command_line_has("ktest"))
        arch::power_off(core::run_kernel_tests() == 0 ? arch::ExitStatus::Success : arch::ExitStatus::TestFailure);
    task::init_vdso();
    ipc::init_futexes();
    ipc::init_anonymous_files();
    ipc::init_epoll();
    ipc::init_semaphores();
    ipc::init_posix_queues();
    ipc::init_sockets();
    ipc::init_deadlock_watch();
    const auto init = core::command_line_option("init").value_or("/init");
    log::info("the kernel hands over to {} after {} thousand cycles", init, (arch::cycles() - g_entered_at) / 1000);
    task::start_init(init);
}

}  // namespace

[[noreturn]] void kernel_main() {
    g_entered_at = arch::cycles();
    arch::init_cpu();
    check_memory();
    mm::early_init(arch::g_boot_info);
    arch::init_paging(mm::early_frames);
    if (!core::percpu_prepare(CpuId{0}, early_memory)) core::boot_failure("there is no memory for per-CPU data");
    mm::frames_init();
    mm::slab_init();
    mm::vmap_init();

    if (core::command_line_has("quiet")) log::set_console_level(log::Level::Warning);
    log::info("Heddle, started by {}; {} MiB of memory", arch::g_boot_info.protocol,
              mm::frame_counts().total * mm::kPageSize >> 20);

    drivers::init_consoles();
    arch::init_interrupts();
    time::timers_init_cpu();
    sched::init_cpu(g_idle[0].construct());
    arch::irq_enable();

    const u32 running = arch::start_other_cpus();
    log::info("{} of {} CPUs run", running, arch::listed_cpus());

    const auto thread = sched::spawn_kernel_thread("boot", first_thread, nullptr, CpuMask::all());
    if (!thread) core::boot_failure("there is no memory for the first thread");
    sched::idle_loop();
}

}  // namespace hd

namespace hd::upcall {

Result<u64> ap_percpu(CpuId cpu) {
    TRY(core::percpu_prepare(cpu, allocate_percpu));
    return core::g_percpu_offsets[cpu.raw];
}

Result<VirtAddr> ap_boot_stack(CpuId cpu) {
    return g_idle[cpu.raw].construct().stack_top = TRY(mm::allocate_kernel_stack());
}

Result<VirtAddr> map_device(PhysAddr base, usize bytes) { return mm::map_device(base, bytes); }

void on_ap_started(CpuId cpu) {
    arch::init_ap_cpu();
    time::timers_init_cpu();
    sched::init_cpu(*g_idle[cpu.raw]);
    core::set_cpu_online(cpu);
    sched::idle_loop();
}

}  // namespace hd::upcall
