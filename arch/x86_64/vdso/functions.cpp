// SPDX-License-Identifier: MIT
// The functions of the vDSO (vdso(7)): user-mode code that the kernel carries. It is linked by itself (vdso.ld), knows nothing of the
// kernel but the page of data, and asks the kernel for what it cannot answer. As everywhere, an error is a negative errno: the C
// libraries' wrappers make -1 of it.
#include "arch/x86_64/vdso/data.hpp"
#include "kernel/abi/time.hpp"

using namespace hd;

extern "C" {

extern const arch::VdsoData vdso_data [[gnu::visibility("hidden")]];  // the page behind this object (vdso.ld)

int __vdso_clock_gettime(i32 clock, abi::Timespec* time);
int __vdso_clock_getres(i32 clock, abi::Timespec* resolution);
int __vdso_gettimeofday(abi::Timeval* time, u64* zone);
i64 __vdso_time(i64* time);
int __vdso_getcpu(u32* cpu, u32* node, void* unused);
}

namespace {

enum class Call : u64 { ClockGettime = 228, ClockGetres = 229, Getcpu = 309 };  // kernel/syscall/table.def

int system_call(Call number, u64 first, const void* second) {
    u64 result;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second), "d"(0) : "rcx", "r11", "memory");
    return static_cast<int>(result);
}

// LFENCE: a time must not be older than what the program has read before it (SDM 2B, RDTSC), or one CPU's clock could be seen to
// be behind another's.
i64 monotonic() {
    u32 low, high;
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return arch::scaled(vdso_data.clock, u64{high} << 32 | low);
}

i64 wall() { return monotonic() + vdso_data.wall_clock_offset.load(std::memory_order_relaxed); }

}  // namespace

int __vdso_clock_gettime(i32 clock, abi::Timespec* time) {
    i64 now;
    switch (clock) {
    case abi::kCLOCK_REALTIME:
    case abi::kCLOCK_REALTIME_COARSE: now = wall(); break;
    case abi::kCLOCK_MONOTONIC:
    case abi::kCLOCK_MONOTONIC_RAW:
    case abi::kCLOCK_MONOTONIC_COARSE:
    case abi::kCLOCK_BOOTTIME: now = monotonic(); break;
    default: return system_call(Call::ClockGettime, static_cast<u64>(clock), time);
    }
    *time = abi::timespec_of(Nanoseconds{now});
    return 0;
}

int __vdso_clock_getres(i32 clock, abi::Timespec* resolution) {
    return system_call(Call::ClockGetres, static_cast<u64>(clock), resolution);
}

int __vdso_gettimeofday(abi::Timeval* time, u64* zone) {
    if (time != nullptr) {
        const i64 now = wall();
        *time = {now / 1'000'000'000, now % 1'000'000'000 / 1000};
    }
    if (zone != nullptr) *zone = 0;  // UTC
    return 0;
}

i64 __vdso_time(i64* time) {
    const i64 now = wall() / 1'000'000'000;
    if (time != nullptr) *time = now;
    return now;
}

int __vdso_getcpu(u32* cpu, u32* node, void* /*unused*/) {
    if (!vdso_data.cpu_number) return system_call(Call::Getcpu, reinterpret_cast<u64>(cpu), node);
    u32 number;
    asm volatile("rdtscp" : "=c"(number) : : "rax", "rdx");
    if (cpu != nullptr) *cpu = number;
    if (node != nullptr) *node = 0;
    return 0;
}
