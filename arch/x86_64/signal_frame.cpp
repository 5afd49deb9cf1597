// SPDX-License-Identifier: MIT
// What lies on a user stack while a signal handler runs. From higher to lower addresses:
//
//      interrupted stack, 128 bytes of red zone (System V ABI, 3.2.2) - or the top of the alternate stack
//      FPU state     64-byte aligned: XSAVE area, then kMagic2 (FXSAVE only: 512 bytes)
//      SignalFrame   return address (sa_restorer), ucontext, siginfo; the handler finds rsp % 16 == 8, as after a call
//
// Programs, libc's unwinder and debuggers know this layout. Source: Linux, arch/x86/include/uapi/asm/sigcontext.h and
// ucontext.h, arch/x86/kernel/signal_64.c, fpu/signal.c. What comes back is not trusted: rt_sigreturn takes any 440
// bytes.
#include "arch/x86_64/signal_frame.hpp"

#include <cstddef>
#include <cstring>

#include "arch/paging.hpp"
#include "arch/user.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/fpu.hpp"
#include "arch/x86_64/trap.hpp"

namespace hd::arch {

namespace {

// In the order of sigcontext; TrapFrame has them under the same names.
// clang-format off
#define FOR_EACH_REGISTER(X) \
    X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rdi) X(rsi) X(rbp) X(rbx) X(rdx) X(rax) X(rcx) X(rsp) X(rip) X(rflags)
// clang-format on

struct SignalContext {
#define HD_DECLARE(name) u64 name;
    FOR_EACH_REGISTER(HD_DECLARE)
#undef HD_DECLARE
    u16 cs, gs, fs, ss;
    u64 error, trap_number, old_mask, cr2;
    u64 fpu_state;
    u64 reserved[8];
};
struct UserContext {
    u64 flags, link;
    abi::StackT stack;
    SignalContext registers;
    u64 mask;
};
struct SignalFrame {
    u64 return_address;
    UserContext context;
    abi::SigInfo info;
};
static_assert(sizeof(SignalContext) == 256 && offsetof(UserContext, registers) == 40);
static_assert(offsetof(UserContext, mask) == 296 && sizeof(UserContext) == 304 && sizeof(SignalFrame) == 440);

// struct _fpx_sw_bytes: says what follows the legacy area.
struct SoftwareBytes {
    u32 magic, extended_size;
    u64 components;
    u32 state_size;
    u32 padding[7];
};
static_assert(sizeof(SoftwareBytes) == sizeof(FpuArea::for_software));
constexpr u32 kMagic1 = 0x46505853, kMagic2 = 0x46505845;

constexpr u64 kHasXState = 1, kHasStackSegment = 2, kStrictStackSegment = 4;  // UC_*: all true of us
constexpr u64 kFlagTrap = 1 << 8, kFlagDirection = 1 << 10, kFlagResume = 1 << 16;
constexpr u64 kFlagsOfProgram = 0x50dd5;  // what rt_sigreturn may set: AC RF OF DF TF SF ZF AF PF CF
constexpr u64 kRedZone = 128;

bool is_user_range(u64 begin, u64 size) { return begin < kUserEnd.raw && size <= kUserEnd.raw - begin; }

u64 fpu_bytes() { return g_features.fpu_size + (g_features.xsave ? sizeof kMagic2 : 0); }

// The registers are the running thread's; saving them is one instruction, so preemption does no harm.
[[gnu::noinline]] Result<> write_fpu_state(u64 to) {
    alignas(64) u8 bytes[kMaxFpuState + sizeof kMagic2];
    auto& area = *reinterpret_cast<FpuArea*>(bytes);
    std::memset(area.reserved1, 0, sizeof area - offsetof(FpuArea, reserved1));  // what the CPU does not write
    fpu_save(bytes);
    if (g_features.xsave) {
        const SoftwareBytes description{
            kMagic1, static_cast<u32>(fpu_bytes()), g_features.xcr0, g_features.fpu_size, {}};
        std::memcpy(area.for_software, &description, sizeof description);
        std::memcpy(bytes + g_features.fpu_size, &kMagic2, sizeof kMagic2);
    }
    if (copy_to_user_raw(to, bytes, fpu_bytes()) != 0) return fail(Errno::kEFAULT);
    return {};
}

// The handler, too, begins like a fresh program.
[[gnu::noinline]] void reset_fpu() {
    alignas(64) u8 bytes[kMaxFpuState];
    fpu_init(bytes);
    fpu_restore(bytes);
}

// XRSTOR faults on reserved bits and unknown components, so these are cleared or refused first (SDM 2B, XRSTOR).
[[gnu::noinline]] Result<> read_fpu_state(u64 from) {
    if (from == 0) return reset_fpu(), Result<>{};
    alignas(64) u8 bytes[kMaxFpuState + sizeof kMagic2] = {};
    if (!is_user_range(from, fpu_bytes())) return fail(Errno::kEFAULT);
    auto& area = *reinterpret_cast<FpuArea*>(bytes);
    constexpr usize kLegacy = offsetof(FpuArea, present);
    if (copy_from_user_raw(bytes, from, kLegacy) != 0) return fail(Errno::kEFAULT);
    area.mxcsr &= g_features.mxcsr_mask;

    SoftwareBytes description;
    std::memcpy(&description, area.for_software, sizeof description);
    bool extended = g_features.xsave && description.magic == kMagic1 && description.state_size == g_features.fpu_size;
    if (extended) {
        if (copy_from_user_raw(bytes + kLegacy, from + kLegacy, fpu_bytes() - kLegacy) != 0)
            return fail(Errno::kEFAULT);
        u32 magic2;
        std::memcpy(&magic2, bytes + g_features.fpu_size, sizeof magic2);
        extended = magic2 == kMagic2;
    }
    if (extended) {
        area.present &= g_features.xcr0;
        u64 reserved = area.compacted;
        for (const u64 word : area.reserved2) reserved |= word;
        if (reserved != 0) return fail(Errno::kEINVAL);
    } else if (g_features.xsave) {
        std::memset(bytes + kLegacy, 0, sizeof bytes - kLegacy);
        area.present = kX87 | kSse;
    }
    fpu_restore(bytes);
    return {};
}

void fill_registers(SignalContext& to, const TrapFrame& frame, const abi::SigInfo& info) {
    const bool fault = frame.number < vector::kExceptions && !frame.is_system_call();
    to = {};
#define HD_COPY(name) to.name = frame.name;
    FOR_EACH_REGISTER(HD_COPY)
#undef HD_COPY
    to.cs = static_cast<u16>(frame.cs);
    to.ss = static_cast<u16>(frame.ss);
    if (!fault) return;
    to.error = frame.error;
    to.trap_number = frame.number;
    if (frame.number == vector::kPageFault) to.cr2 = info.fault.address;
}

}  // namespace

u64 signal_frame_size() { return kRedZone + 63 + fpu_bytes() + 15 + sizeof(SignalFrame) + 8; }

Result<> push_signal_frame(TrapFrame& frame, const abi::SigInfo& info, const abi::SigAction& action, u64 old_mask,
                           const abi::StackT& alternate, SignalStack stack) {
    if ((action.flags & abi::kSA_RESTORER) == 0) return fail(Errno::kEFAULT);  // Linux: the same, nothing to return to
    const u64 top = stack.top != 0 ? stack.top : frame.rsp - kRedZone;
    const u64 fpu_at = align_down<u64>(top - fpu_bytes(), 64);
    const u64 frame_at = align_down<u64>(fpu_at - sizeof(SignalFrame), 16) - 8;
    if (!is_user_range(frame_at, top - frame_at)) return fail(Errno::kEFAULT);
    if (frame_at <= stack.bottom) return fail(Errno::kEFAULT);

    SignalFrame out;
    out.return_address = action.restorer;
    out.context.flags = (g_features.xsave ? kHasXState : 0) | kHasStackSegment | kStrictStackSegment;
    out.context.link = 0;
    out.context.stack = alternate;
    out.context.mask = old_mask;
    fill_registers(out.context.registers, frame, info);
    out.context.registers.old_mask = old_mask;
    out.context.registers.fpu_state = fpu_at;
    out.info = info;
    TRY(write_fpu_state(fpu_at));
    if (copy_to_user_raw(frame_at, &out, sizeof out) != 0) return fail(Errno::kEFAULT);
    reset_fpu();

    frame.rdi = static_cast<u64>(i64{info.signo});
    frame.rsi = frame_at + offsetof(SignalFrame, info);
    frame.rdx = frame_at + offsetof(SignalFrame, context);
    frame.rax = 0;
    frame.rsp = frame_at;
    frame.rip = action.handler;
    frame.rflags &= ~(kFlagTrap | kFlagDirection | kFlagResume);
    frame.leave_system_call();
    return {};
}

Result<> pop_signal_frame(TrapFrame& frame, u64& mask, abi::StackT& alternate) {
    UserContext in;
    const u64 context_at =
        frame.rsp - sizeof(u64) + offsetof(SignalFrame, context);  // the handler's return took 8 bytes
    if (!is_user_range(context_at, sizeof in) || copy_from_user_raw(&in, context_at, sizeof in) != 0)
        return fail(Errno::kEFAULT);
    const SignalContext& from = in.registers;
    if (from.cs != USER_CODE_SELECTOR || from.ss != USER_DATA_SELECTOR || from.rip >= kUserEnd.raw)
        return fail(Errno::kEINVAL);
    TRY(read_fpu_state(from.fpu_state));
    frame = {};
#define HD_COPY(name) frame.name = from.name;
    FOR_EACH_REGISTER(HD_COPY)
#undef HD_COPY
    frame.number = ~u64{0};
    frame.cs = USER_CODE_SELECTOR;
    frame.ss = USER_DATA_SELECTOR;
    frame.rflags = (from.rflags & kFlagsOfProgram) | kFlagInterrupt | 2;
    mask = in.mask;
    alternate = in.stack;
    return {};
}

}  // namespace hd::arch
