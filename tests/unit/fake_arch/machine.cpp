// SPDX-License-Identifier: MIT
// Simulated CPUs: the arch contract's cpu, cpu_local, context, timer and irq parts.
#include "tests/unit/fake_arch/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "arch/boot.hpp"
#include "arch/context.hpp"
#include "arch/irq.hpp"
#include "kernel/core/context.hpp"
#include "kernel/core/percpu.hpp"
#include "tests/unit/fake_arch/cpus.hpp"

namespace hd::fake {

Cpu g_cpus[kMaxSimulatedCpus];
u32 g_cpu_count = 1;
constinit std::atomic<i64> g_clock{0};
Hooks g_hooks;
void (*g_explore)(Point point) = nullptr;
bool g_on_simulated_cpu = false;

namespace {
thread_local Cpu* t_cpu = &g_cpus[0];
std::atomic<u64> g_ipis{0}, g_switches{0};
}  // namespace

namespace detail {
std::atomic<u64> g_page_table_loads{0};
}

Cpu& this_cpu() { return *t_cpu; }
void set_this_cpu(Cpu& cpu) { t_cpu = &cpu; }

bool Cpu::interrupt_waits() const { return pending.load() != 0 || timer_deadline <= g_clock.load(); }

void become_cpu(CpuId cpu) {
    if (cpu.raw >= g_cpu_count) std::abort();
    t_cpu = &g_cpus[cpu.raw];
}

Counts counts() { return {g_ipis.load(), g_switches.load(), detail::g_page_table_loads.load()}; }

void advance_clock(Nanoseconds by) { g_clock += by.raw; }
void set_clock(Nanoseconds to) { g_clock = to.raw; }
Nanoseconds timer_deadline(CpuId cpu) { return Nanoseconds{g_cpus[cpu.raw].timer_deadline}; }

// As an interrupt entry does: up the context ladder, the handler, down again, a chance to preempt. A handler or the
// preemption may throw a Panic, and then nothing matters any more.
void deliver_interrupts() {
    while (t_cpu->irqs_on && t_cpu->interrupt_waits()) {
        Cpu& cpu = *t_cpu;
        cpu.irqs_on = false;
        cpu.halted = false;
        cpu.local.preempt_count += core::kInterruptUnit;
        void (*handler)() = nullptr;
        if (cpu.timer_deadline <= g_clock.load()) {
            cpu.timer_deadline = INT64_MAX;
            handler = g_hooks.timer;
        } else if ((cpu.pending.load() & Cpu::kCallFunction) != 0) {
            cpu.pending.fetch_and(~Cpu::kCallFunction);
            handler = g_hooks.call_function;
        } else {
            cpu.pending.fetch_and(~Cpu::kReschedule);
            handler = g_hooks.reschedule;
        }
        if (handler != nullptr) handler();
        cpu.local.preempt_count -= core::kInterruptUnit;
        if (g_hooks.irq_exit != nullptr) g_hooks.irq_exit();
        t_cpu->irqs_on = true;  // perhaps another CPU than before
    }
}

namespace {

void point(Point kind) {
    if (g_explore != nullptr) g_explore(kind);
    deliver_interrupts();
}

}  // namespace

void atomic_point() {
    if (g_on_simulated_cpu) point(Point::Atomic);
}

}  // namespace hd::fake

namespace hd::arch {

using fake::Cpu;
using fake::Point;
using fake::point;

void detail::simulation_point() { point(Point::Access); }

CpuLocal& cpu_local() { return fake::this_cpu().local; }

bool irqs_enabled() { return fake::this_cpu().irqs_on; }

void irq_enable() {
    fake::this_cpu().irqs_on = true;
    point(Point::Irq);
}

void irq_disable() {
    point(Point::Irq);
    fake::this_cpu().irqs_on = false;
}

IrqState irq_save() {
    point(Point::Irq);
    const IrqState state{fake::this_cpu().irqs_on};
    fake::this_cpu().irqs_on = false;
    return state;
}

void irq_restore(IrqState state) {
    if (state.enabled) irq_enable();
}

void cpu_relax() {
    if (fake::g_explore == nullptr) std::this_thread::yield();
    point(Point::Spin);
}

void halt_until_interrupt() {
    fake::this_cpu().irqs_on = true;
    fake::this_cpu().halted = true;
    while (fake::this_cpu().halted && !fake::this_cpu().interrupt_waits()) {
        if (fake::g_explore != nullptr)
            fake::g_explore(Point::Halt);
        else
            std::this_thread::yield();
    }
    fake::deliver_interrupts();
}

// Moves with every look, so that a spinlock that is never released is found to be waited for too long.
u64 cycles() {
    static std::atomic<u64> looks{0};
    return static_cast<u64>(fake::g_clock.load()) + (++looks << 20);
}

void halt_forever() { throw fake::Panic("halt_forever"); }
void power_off(ExitStatus) { throw fake::Panic("power_off"); }
void reboot() { throw fake::Panic("reboot"); }

void early_write(std::string_view text, EarlyOutput) {
    static const bool wanted = std::getenv("HD_LOG") != nullptr;
    if (wanted) std::fwrite(text.data(), 1, text.size(), stderr);
}

void send_ipi(CpuId cpu, Ipi kind) {
    ++fake::g_ipis;
    fake::g_cpus[cpu.raw].pending.fetch_or(kind == Ipi::Reschedule ? Cpu::kReschedule : Cpu::kCallFunction);
    point(Point::Ipi);
}

void send_nmi(CpuId) {}
u32 start_other_cpus() { return fake::g_cpu_count; }
u32 listed_cpus() { return fake::g_cpu_count; }
std::string_view cpu_model_name() { return "simulated"; }
std::string_view cpu_feature_names() { return "fpu"; }

void hardware_random(void* buffer, usize size) {
    static std::atomic<u64> state{1};  // repeatable
    for (usize i = 0; i < size; ++i)
        static_cast<u8*>(buffer)[i] =
            static_cast<u8>((state = state * 6364136223846793005 + 1442695040888963407) >> 56);
}

usize backtrace(u64, u64*, usize) { return 0; }

Nanoseconds clock_at(u64 cycles) { return Nanoseconds{static_cast<i64>(cycles)}; }
Nanoseconds clock_now() { return Nanoseconds{fake::g_clock.load()}; }
i64 boot_wall_clock() { return 1'700'000'000; }
u64 cycles_khz() { return 1'000'000; }
void timer_arm(Nanoseconds deadline) { fake::this_cpu().timer_deadline = deadline.raw; }

Result<> irq_route(u32 line, CpuId) { return line < kIrqLines ? Result<>{} : fail(Errno::kEINVAL); }
u64 unexpected_interrupts(CpuId) { return 0; }

// A context's stack pointer is the address of its fiber. Fibers live until reset(): an abandoned thread never frees its own.
namespace {
std::vector<std::unique_ptr<fake::Fiber>>& context_fibers() {
    static std::vector<std::unique_ptr<fake::Fiber>> fibers;
    return fibers;
}
}  // namespace

Context make_context(VirtAddr, void (*entry)(void*), void* argument) {
    context_fibers().push_back(std::make_unique<fake::Fiber>(entry, argument));
    return Context{reinterpret_cast<u64>(context_fibers().back().get())};
}

void switch_context(Context& from, const Context& to) {
    ++fake::g_switches;
    if (fake::g_explore != nullptr) fake::g_explore(Point::Switch);
    Cpu& cpu = fake::this_cpu();
    fake::Fiber& self = *cpu.running;
    from.stack_pointer = reinterpret_cast<u64>(&self);
    for (const Cpu& other : fake::g_cpus)
        if (reinterpret_cast<u64>(other.running) == to.stack_pointer && fake::g_on_panic != nullptr)
            fake::g_on_panic("a thread is switched in that still runs on another CPU");
    cpu.running = reinterpret_cast<fake::Fiber*>(to.stack_pointer);
    cpu.running->switch_from(self, true);
}

void set_kernel_stack(VirtAddr stack_top) { fake::this_cpu().local.kernel_stack_top = stack_top.raw; }
void save_user_state(UserCpuState& state) { state = {fake::this_cpu().fs_base, fake::this_cpu().gs_base}; }
void load_user_state(const UserCpuState& state) {
    fake::this_cpu().fs_base = state.fs_base;
    fake::this_cpu().gs_base = state.gs_base;
}
usize fpu_state_size() { return 64; }
void fpu_save(void* area) { std::memcpy(area, &fake::this_cpu().fpu, sizeof(u64)); }
void fpu_restore(const void* area) { std::memcpy(&fake::this_cpu().fpu, area, sizeof(u64)); }
void fpu_init(void* area) { std::memset(area, 0, 64); }

}  // namespace hd::arch

// ---- What a machine is after power-on ------------------------------------------------------------------------------

extern "C" hd::u8 __start_percpu[], __stop_percpu[];

namespace hd::fake {

namespace {

// Per-CPU variables as the linker laid them down. Saved before any test can have changed them.
struct PerCpuImages {
    std::vector<u8> pristine{__start_percpu, __stop_percpu};
    std::unique_ptr<u8, decltype(&std::free)> copies[kMaxSimulatedCpus] = {
        {nullptr, &std::free}, {nullptr, &std::free}, {nullptr, &std::free}, {nullptr, &std::free},
        {nullptr, &std::free}, {nullptr, &std::free}, {nullptr, &std::free}, {nullptr, &std::free}};
    Fiber host;
};
[[gnu::init_priority(200)]] PerCpuImages g_images;

}  // namespace

void set_online_cpus(u32 count);  // core.cpp

void reset(u32 cpus) {
    if (cpus == 0 || cpus > kMaxSimulatedCpus) std::abort();
    const usize bytes = g_images.pristine.size();
    g_cpu_count = cpus;
    g_clock = 0;
    g_hooks = {};
    g_ipis = g_switches = detail::g_page_table_loads = 0;
    arch::context_fibers().clear();
    for (u32 i = 0; i < kMaxSimulatedCpus; ++i) {
        std::destroy_at(&g_cpus[i]);
        Cpu& cpu = *std::construct_at(&g_cpus[i]);
        u8* image = __start_percpu;
        if (i != 0) {
            if (g_images.copies[i] == nullptr)
                g_images.copies[i].reset(static_cast<u8*>(std::aligned_alloc(64, align_up(bytes, usize{64}))));
            image = g_images.copies[i].get();
        }
        std::memcpy(image, g_images.pristine.data(), bytes);
        core::g_percpu_offsets[i] = reinterpret_cast<u64>(image) - reinterpret_cast<u64>(__start_percpu);
        cpu.local.self = &cpu.local;
        cpu.local.id = CpuId{i};
        cpu.local.percpu_offset = core::g_percpu_offsets[i];
        cpu.page_table = arch::kernel_page_table();
    }
    set_online_cpus(cpus);
    become_cpu(CpuId{0});
    t_cpu->running = &g_images.host;
}

}  // namespace hd::fake
