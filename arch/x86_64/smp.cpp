// SPDX-License-Identifier: MIT
// Starting the other CPUs (SDM 3A, 9.4.4.1): an INIT IPI stops each, a start-up IPI sets it off in the trampoline page
// (boot/trampoline.S), from where it comes to ap_main(). One after the other.
//
// A CPU that answers late, after it was given up, must not run with what was meant for it. So each has a state, which
// only one of the two sides can move on (and the trampoline and its page tables stay for such a latecomer):
//
//     boot CPU                                    new CPU
//     state = Called
//     INIT, start-up IPIs
//     ... waits ...                               Called -> Claimed (compare-and-exchange), else halts for good
//     ... waits ...                               ap_main(): Answered
//     too long: Called -> Idle (compare-and-exchange); that fails if the CPU claimed its place meanwhile: wait on
#include <atomic>
#include <cstring>

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/timer.hpp"
#include "arch/upcalls.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/entry_offsets.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/sections.hpp"

extern "C" {
extern const hd::u8 trampoline_start[], trampoline_end[], trampoline_long_mode[], trampoline_gdt[];

// By APIC id, for ap_entry.
constinit std::atomic<hd::u8> g_ap_states[256] = {};
constinit hd::u8 g_ap_cpu_ids[256] = {};
}

namespace hd::arch {

constinit PhysAddr g_trampoline_page;

namespace {

constexpr u8 kIdle = AP_IDLE, kCalled = AP_CALLED, kClaimed = AP_CLAIMED, kAnswered = kClaimed + 1;
static_assert(sizeof(g_ap_states[0]) == 1);

constinit u64 g_ap_cycles = 0;  // the new CPU's cycle counter as it answered

void prepare_trampoline() {
    const u64 page = g_trampoline_page.raw;
    auto* const code = reinterpret_cast<u8*>((kDirectMap + page).raw);
    const auto offset = [](const u8* symbol) { return static_cast<u32>(symbol - trampoline_start); };
    const auto put = [&](usize at, u64 value) {
        const u32 word = static_cast<u32>(value);
        std::memcpy(code + at, &word, sizeof word);
    };
    std::memcpy(code, trampoline_start, offset(trampoline_end));
    put(TRAMPOLINE_CR3, image_phys(boot_pml4).raw);  // for the way to ap_entry, as the boot CPU came
    put(TRAMPOLINE_GDT_POINTER + 2, page + offset(trampoline_gdt));
    put(TRAMPOLINE_LONG_MODE, page + offset(trampoline_long_mode));
}

// Waits until the CPU has answered, at most `microseconds`.
bool wait_for_answer(const std::atomic<u8>& state, i64 microseconds) {
    const Nanoseconds end = clock_now() + hd::microseconds(microseconds);
    // acquire pairs with ap_main()'s release: g_ap_cycles is the CPU's.
    while (state.load(std::memory_order_acquire) != kAnswered) {
        if (clock_now() >= end) return false;
        cpu_relax();
    }
    return true;
}

bool call_cpu(u32 apic_id, std::atomic<u8>& state) {
    const u8 page_number = static_cast<u8>(g_trampoline_page.raw >> 12);
    apic_send_init(apic_id);
    // 10 ms were for processors with a separate APIC chip; the later ones need none to speak of.
    wait_for_answer(state, 10);
    apic_send_startup(apic_id, page_number);
    // (Under QEMU 7.2's -icount the clock jumps here to the next timer: resetting a CPU forgets what it had not used of
    // its share of instructions.)
    if (wait_for_answer(state, 1000)) return true;
    apic_send_startup(apic_id, page_number);
    if (wait_for_answer(state, 1'000'000)) return true;
    u8 called = kCalled;
    if (state.compare_exchange_strong(called, kIdle)) return false;
    return wait_for_answer(state, 1'000'000);
}

bool start_cpu(CpuId cpu) {
    const u8 apic_id = g_acpi.apic_ids[cpu.raw];
    const auto percpu_offset = upcall::ap_percpu(cpu);
    const auto stack = upcall::ap_boot_stack(cpu);
    if (!percpu_offset || !stack) {
        report("CPU {} left out: no memory for it", cpu.raw);
        return false;
    }
    CpuLocal& local = g_cpu_locals[cpu.raw];
    local.self = &local;
    local.percpu_offset = *percpu_offset;
    local.kernel_stack_top = stack->raw;
    g_ap_cpu_ids[apic_id] = static_cast<u8>(cpu.raw);
    std::atomic<u8>& state = g_ap_states[apic_id];
    state.store(kCalled);  // seq_cst: all of the above is there before the CPU can claim it
    const u64 before = cycles();
    if (!call_cpu(apic_id, state)) {
        report("CPU {} left out: it does not answer (APIC id {})", cpu.raw, apic_id);
        return false;
    }
    if (g_ap_cycles < before || g_ap_cycles > cycles())
        report("CPU {}: its cycle counter differs from the boot CPU's, so clocks will disagree", cpu.raw);
    return true;
}

}  // namespace

u32 start_other_cpus() {
    u32 running = 1;
    if (g_acpi.cpu_count == 1) return running;
    if (g_trampoline_page == PhysAddr{}) {
        report("only one CPU runs: there is no usable page below 640 KiB to start others in");
        return running;
    }
    prepare_trampoline();
    for (u32 cpu = 1; cpu < g_acpi.cpu_count; ++cpu)
        if (start_cpu(CpuId{cpu})) ++running;
    return running;
}

extern "C" void ap_main(u32 cpu) {
    g_ap_cycles = cycles();
    g_ap_states[g_acpi.apic_ids[cpu]].store(kAnswered, std::memory_order_release);  // pairs with wait_for_answer()
    upcall::on_ap_started(CpuId{cpu});
}

}  // namespace hd::arch
