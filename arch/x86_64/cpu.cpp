// SPDX-License-Identifier: MIT
// A processor's start: are the features there that Heddle needs? Then control registers, descriptor tables, FPU.
#include "arch/cpu.hpp"

#include <atomic>
#include <cstring>

#include "arch/boot.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/fpu.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"

namespace hd::arch {

namespace {

constexpr std::array<CpuLocal, kMaxCpus> make_cpu_locals() {
    std::array<CpuLocal, kMaxCpus> locals{};
    for (u32 i = 0; i < kMaxCpus; ++i) locals[i].id = CpuId{i};
    return locals;
}

}  // namespace

constinit std::array<CpuLocal, kMaxCpus> g_cpu_locals = make_cpu_locals();
constinit Features g_features;

namespace {

// Places of STAC and CLAC (entry.S, user_copy.S): three bytes of no operation, relative to `place`.
struct SmapSite {
    i32 place;
    u32 last_byte;
};
extern "C" const SmapSite __start_smap_sites[], __stop_smap_sites[];

// Control register bits: SDM 3A, 2.5.
constexpr u64 kCr0Monitor = 1 << 1, kCr0Emulate = 1 << 2, kCr0TaskSwitched = 1 << 3, kCr0NumericError = 1 << 5,
              kCr0WriteProtect = 1 << 16, kCr0AlignmentMask = 1 << 18, kCr0NotWriteThrough = 1 << 29,
              kCr0CacheDisable = 1 << 30;
constexpr u64 kCr4Pae = 1 << 5, kCr4MachineCheck = 1 << 6, kCr4PageGlobal = 1 << 7, kCr4FxSave = 1 << 9,
              kCr4SimdExceptions = 1 << 10, kCr4Umip = 1 << 11, kCr4XSave = 1 << 18, kCr4Smep = 1 << 20,
              kCr4Smap = 1 << 21;

struct Requirement {
    const char* name;
    bool present;
};

void detect_features() {
    const CpuidResult basic = cpuid(1);
    const CpuidResult extended = cpuid(0x8000'0001);
    const auto has = [](u32 word, u32 bit) { return (word >> bit & 1) != 0; };
    // CPUID: SDM 2A, tables 3-10 and 3-11.
    const Requirement required[] = {
        {"TSC (time-stamp counter)", has(basic.edx, 4)},
        {"MSR (model-specific registers)", has(basic.edx, 5)},
        {"APIC (local interrupt controller)", has(basic.edx, 9)},
        {"PGE (global pages)", has(basic.edx, 13)},
        {"FXSR (FXSAVE)", has(basic.edx, 24)},
        {"SSE2", has(basic.edx, 26)},
        {"SYSCALL", has(extended.edx, 11)},
        {"NX (pages without execution)", has(extended.edx, 20)},
    };
    for (const Requirement& feature : required)
        if (!feature.present) refuse("this CPU lacks {}, which Heddle needs", feature.name);

    g_features.hwcap = basic.edx;
    g_features.apic_id = basic.ebx >> 24;
    g_features.xsave = has(basic.ecx, 26);
    if (g_features.xsave) g_features.xcr0 = cpuid(0xd).eax & kFpuComponents;
    g_features.random = has(basic.ecx, 30);
    g_features.gigabyte_pages = has(extended.edx, 26);
    g_features.rdtscp = has(extended.edx, 27);
    if (cpuid(0).eax >= 7) {
        const CpuidResult structured = cpuid(7);
        g_features.smep = has(structured.ebx, 7);
        g_features.smap = has(structured.ebx, 20);
        g_features.umip = has(structured.ecx, 2);
    }
}

// CR4.FSGSBASE stays off: with it, programs could put a kernel address into their GS base, and the NMI entry could no
// longer tell whose base it found. Without it bases change by system call only, so a switch has nothing to read back.
void set_control_registers() {
    const u64 off = kCr0Emulate | kCr0TaskSwitched | kCr0NotWriteThrough | kCr0CacheDisable;
    write_cr0((read_cr0() & ~off) | kCr0Monitor | kCr0NumericError | kCr0WriteProtect | kCr0AlignmentMask);
    write_msr(Msr::Efer, read_msr(Msr::Efer) | EFER_SCE | EFER_NXE);
    write_cr4(kCr4Pae | kCr4MachineCheck | kCr4PageGlobal | kCr4FxSave | kCr4SimdExceptions |
              (g_features.umip ? kCr4Umip : 0) | (g_features.xsave ? kCr4XSave : 0) | (g_features.smep ? kCr4Smep : 0) |
              (g_features.smap ? kCr4Smap : 0));
}

// Kernel text is still writable: the final page tables come later.
void use_smap() {
    for (const auto* site = __start_smap_sites; site != __stop_smap_sites; ++site) {
        auto* place = reinterpret_cast<u8*>(reinterpret_cast<u64>(&site->place) + static_cast<u64>(i64{site->place}));
        place[0] = 0x0f;
        place[1] = 0x01;
        place[2] = static_cast<u8>(site->last_byte);
    }
}

// What programs read by RDTSCP, in the vDSO.
void load_cpu_number(CpuId cpu) {
    if (g_features.rdtscp) write_msr(Msr::TscAux, cpu.raw);
}

}  // namespace

void init_cpu() {
    detect_features();
    if (g_features.smap) use_smap();
    set_control_registers();
    init_fpu();
    load_descriptors();
    load_syscall_registers();
    load_cpu_number(CpuId{0});
}

void init_ap_cpu() {
    set_control_registers();
    init_fpu();
    load_descriptors();
    load_syscall_registers();
    load_cpu_number(cpu_local().id);
    init_local_apic();
}

void hardware_random(void* buffer, usize size) {
    auto* out = static_cast<u8*>(buffer);
    static constinit std::atomic<u64> state = 0;
    while (size > 0) {
        u64 word = 0;
        bool valid = false;
        // RDRAND may have nothing for a moment; ten tries are its documented limit (SDM 1, 7.3.17.1).
        for (int tries = 0; g_features.random && !valid && tries < 10; ++tries)
            asm volatile("rdrand %0" : "=r"(word), "=@ccc"(valid));
        if (!valid) {
            // Poor man's choice: what is unpredictable in the time that memory accesses and interrupts take, stirred by
            // the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
            for (int round = 0; round < 8; ++round) {
                const u64 step = cycles() * 2 + 0x9e37'79b9'7f4a'7c15;
                word ^= state.fetch_add(step, std::memory_order_relaxed) + step;  // orders nothing
                word = (word ^ word >> 30) * 0xbf58'476d'1ce4'e5b9;
                word = (word ^ word >> 27) * 0x94d0'49bb'1331'11eb;
                word ^= word >> 31;
            }
        }
        const usize count = size < sizeof word ? size : sizeof word;
        std::memcpy(out, &word, count);
        out += count;
        size -= count;
    }
}

}  // namespace hd::arch
