// SPDX-License-Identifier: MIT
// What entry.S calls: tells exceptions and interrupts apart and passes each to the kernel proper. IRQs are off on entry
// and on return.
#include "arch/x86_64/trap.hpp"

#include <cstddef>

#include "arch/irq.hpp"
#include "arch/paging.hpp"
#include "arch/upcalls.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/registers.hpp"
#include "kernel/core/panic.hpp"

namespace hd::arch {

static_assert(sizeof(TrapFrame) == FRAME_SIZE && FRAME_SIZE % 16 == 0);
static_assert(offsetof(TrapFrame, r15) == FRAME_CALLEE_SAVED && offsetof(TrapFrame, error) == FRAME_ERROR);
static_assert(offsetof(TrapFrame, rip) == FRAME_RIP && offsetof(TrapFrame, cs) == FRAME_CS);
static_assert(offsetof(TrapFrame, rsp) == FRAME_RSP);
static_assert(TrapFrame::kSystemCall == static_cast<u64>(FRAME_ERROR_SYSCALL));
static_assert(kUserEnd.raw == USER_END);

namespace {

// Where kernel code goes on when an access to user memory fails (user_copy.S); places relative to the fields
// themselves.
struct ExceptionTableEntry {
    i32 instruction, continuation;
};
extern "C" const ExceptionTableEntry __start_ex_table[], __stop_ex_table[];

u64 place_of(const i32& field) { return reinterpret_cast<u64>(&field) + static_cast<u64>(i64{field}); }

u64 find_fixup(u64 ip) {
    for (const auto* entry = __start_ex_table; entry != __stop_ex_table; ++entry)
        if (place_of(entry->instruction) == ip) return place_of(entry->continuation);
    return 0;
}

// What each exception does to a program (Linux: arch/x86/kernel/traps.c). SI_KERNEL comes without an address.
struct Decode {
    std::string_view name;
    int signal = abi::kSIGSEGV;
    int code = abi::kSI_KERNEL;
    bool address_is_ip = false;
};
constexpr Decode kDecode[] = {
    {"divide error", abi::kSIGFPE, abi::kFPE_INTDIV, true},
    {"debug exception", abi::kSIGTRAP, abi::kTRAP_BRKPT, true},
    {"non-maskable interrupt"},
    {"breakpoint", abi::kSIGTRAP},
    {"overflow"},
    {"bound range exceeded"},
    {"invalid opcode", abi::kSIGILL, abi::kILL_ILLOPN, true},
    {"device not available"},
    {"double fault"},
    {"coprocessor segment overrun", abi::kSIGFPE},
    {"invalid task state segment"},
    {"segment not present", abi::kSIGBUS},
    {"stack segment fault", abi::kSIGBUS},
    {"general protection fault"},
    {"page fault"},
    {"reserved exception 15"},
    {"x87 floating-point error", abi::kSIGFPE, abi::kFPE_FLTINV, true},
    {"alignment check", abi::kSIGBUS, abi::kBUS_ADRALN},
    {"machine check"},
    {"SIMD floating-point error", abi::kSIGFPE, abi::kFPE_FLTINV, true},
};
constexpr Decode kReserved{"reserved exception"};

const Decode& decode_of(u64 number) { return number < std::size(kDecode) ? kDecode[number] : kReserved; }

// The status bits of x87 and SSE are the same: invalid, denormal, zero divide, overflow, underflow, precision.
int floating_point_code(u32 raised) {
    if ((raised & 0x01) != 0) return abi::kFPE_FLTINV;
    if ((raised & 0x04) != 0) return abi::kFPE_FLTDIV;
    if ((raised & 0x08) != 0) return abi::kFPE_FLTOVF;
    if ((raised & 0x12) != 0) return abi::kFPE_FLTUND;
    return abi::kFPE_FLTRES;
}

// The registers are still the program's: the kernel uses no floating point.
u32 x87_raised() {
    u16 control, status;
    asm volatile("fnstcw %0; fnstsw %1" : "=m"(control), "=m"(status));
    return status & ~u32{control} & 0x3f;
}

u32 simd_raised() {
    u32 mxcsr;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr & ~(mxcsr >> 7) & 0x3f;  // flags, without those whose mask bit is set
}

bool single_stepped() {
    u64 status;
    asm volatile("mov %%dr6, %0" : "=r"(status));
    asm volatile("mov %0, %%dr6" : : "r"(u64{0xffff'0ff0}));  // sticky; this is "nothing happened"
    return (status & 1 << 14) != 0;
}

void handle_exception(TrapFrame& frame) {
    const Decode& decode = decode_of(frame.number);
    upcall::Exception exception{decode.name, decode.signal, decode.code, decode.address_is_ip ? frame.rip : 0};
    if (frame.number == vector::kDebug && single_stepped()) exception.code = abi::kTRAP_TRACE;
    if (frame.number == vector::kFloatingPoint) exception.code = floating_point_code(x87_raised());
    if (frame.number == vector::kSimd) exception.code = floating_point_code(simd_raised());
    upcall::on_exception(frame, exception);
}

void handle_page_fault(TrapFrame& frame) {
    // Error code: SDM 3A, 4.7.
    const upcall::PageFault fault{
        .address = VirtAddr{read_cr2()},
        .write = (frame.error & 0x02) != 0,
        .execute = (frame.error & 0x10) != 0,
        .user = (frame.error & 0x04) != 0,
        .protection = (frame.error & 0x01) != 0,
        .reserved = (frame.error & 0x08) != 0,
    };
    upcall::on_page_fault(frame, fault, frame.user_mode() ? 0 : find_fixup(frame.rip));
}

void count_unexpected() {
    arch_cpu().unexpected_interrupts.fetch_add(1, std::memory_order_relaxed);  // a statistic, orders nothing
}

void handle_irq(u32 number, bool from_user) {
    switch (number) {
    case vector::kTimer: apic_end_of_interrupt(); return timer_interrupt(from_user);
    case vector::kReschedule: apic_end_of_interrupt(); return upcall::on_ipi_reschedule();
    case vector::kCallFunction: apic_end_of_interrupt(); return upcall::on_ipi_call_function();
    default:
        if (number >= vector::kLines && number < vector::kLines + kIrqLines) {
            upcall::on_device_irq(number - vector::kLines);
            return apic_end_of_interrupt();  // after the handler: a level-triggered line is quiet by then
        }
        // Spurious, or nobody's. Only a delivered interrupt may be ended: an EOI too many would end another one.
        count_unexpected();
        if (apic_in_service(number)) apic_end_of_interrupt();
    }
}

}  // namespace

std::string_view exception_name(u64 number) { return decode_of(number).name; }

u64 unexpected_interrupts(CpuId cpu) {
    return arch_cpu_of(cpu).unexpected_interrupts.load(std::memory_order_relaxed);  // a statistic, orders nothing
}

extern "C" void handle_interrupt(TrapFrame& frame) {
    if (frame.number == vector::kPageFault) return handle_page_fault(frame);
    if (frame.number < vector::kExceptions) return handle_exception(frame);
    handle_irq(static_cast<u32>(frame.number), frame.user_mode());
    if (!frame.user_mode()) upcall::on_irq_exit();
}

// NMI, double fault and machine check: on a stack of their own, at any place in the kernel.
extern "C" void handle_paranoid(TrapFrame& frame) {
    if (frame.number == vector::kNmi) return upcall::on_nmi(frame);
    if (frame.number == vector::kDoubleFault)
        core::panic_at(frame, "double fault (a kernel stack overflow, when CR2 lies just below a stack)");
    core::panic_at(frame, "machine check: the processor reports a hardware error");
}

}  // namespace hd::arch
