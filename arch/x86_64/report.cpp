// SPDX-License-Identifier: MIT
// What the processor's state looks like in words: for panics and for /proc/cpuinfo.
#include "arch/report.hpp"

#include <cstring>

#include "arch/cpu.hpp"
#include "arch/paging.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/sections.hpp"
#include "arch/x86_64/trap.hpp"

namespace hd::arch {

namespace {

// SDM 3A, 4.7.
void describe_page_fault(TextSink& sink, u64 error) {
    format_to(sink, " ({} mode {}, {})", (error & 4) != 0 ? "user" : "kernel",
              (error & 16) != 0  ? "fetches an instruction"
              : (error & 2) != 0 ? "writes"
                                 : "reads",
              (error & 8) != 0   ? "a page-table entry has reserved bits set"
              : (error & 1) != 0 ? "the page forbids it"
                                 : "no page is there");
}

// SDM 3A, 6.13: which descriptor table, and which entry of it.
void describe_selector(TextSink& sink, u64 error) {
    if (error == 0) return;
    const char* table = (error & 2) != 0 ? "IDT" : (error & 4) != 0 ? "LDT" : "GDT";
    format_to(sink, " ({} entry {}{})", table, error >> 3, (error & 1) != 0 ? ", external event" : "");
}

void describe_flags(TextSink& sink, u64 flags) {
    constexpr struct {
        u32 bit;
        const char* name;
    } names[] = {{0, "CF"}, {2, "PF"},  {4, "AF"},  {6, "ZF"},  {7, "SF"},  {8, "TF"},
                 {9, "IF"}, {10, "DF"}, {11, "OF"}, {14, "NT"}, {16, "RF"}, {18, "AC"}};
    for (const auto& [bit, name] : names)
        if ((flags >> bit & 1) != 0) format_to(sink, " {}", name);
}

}  // namespace

void describe_frame(TextSink& sink, const TrapFrame& frame) {
    if (frame.is_system_call()) {
        format_to(sink, "system call {}", frame.number);
    } else if (frame.number >= vector::kExceptions) {
        format_to(sink, "interrupt {:#x}", frame.number);
    } else {
        format_to(sink, "{} (vector {}), error code {:#x}", exception_name(frame.number), frame.number, frame.error);
        if (frame.number == vector::kPageFault)
            describe_page_fault(sink, frame.error);
        else
            describe_selector(sink, frame.error);
    }
    format_to(sink, "\n  rip {:016x} cs {:x}  rsp {:016x} ss {:x}  rflags {:x}", frame.rip, frame.cs, frame.rsp,
              frame.ss, frame.rflags);
    describe_flags(sink, frame.rflags);
    format_to(sink, "\n  rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}\n", frame.rax, frame.rbx, frame.rcx,
              frame.rdx);
    format_to(sink, "  rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}\n", frame.rsi, frame.rdi, frame.rbp,
              frame.r8);
    format_to(sink, "  r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}\n", frame.r9, frame.r10, frame.r11,
              frame.r12);
    format_to(sink, "  r13 {:016x}  r14 {:016x}  r15 {:016x}\n", frame.r13, frame.r14, frame.r15);
    format_to(sink, "  cr2 {:016x}  cr3 {:016x}  cr4 {:016x}\n", read_cr2(), read_cr3(), read_cr4());
}

usize backtrace(u64 frame_pointer, u64* addresses, usize capacity) {
    // What a frame pointer points to: the caller's frame pointer, then the return address.
    usize count = 0;
    while (count < capacity && frame_pointer >= kDirectMap.raw && frame_pointer % 8 == 0) {
        // The chain may be damaged, and this may run in an NMI: nothing is read that is not mapped.
        if (!translate_kernel(VirtAddr{frame_pointer}) || !translate_kernel(VirtAddr{frame_pointer + 8})) break;
        u64 words[2];
        std::memcpy(words, reinterpret_cast<const void*>(frame_pointer), sizeof words);
        if (!is_kernel_text(words[1])) break;
        addresses[count++] = words[1];
        frame_pointer = words[0];
    }
    return count;
}

std::string_view cpu_model_name() {
    static constinit char name[49] = {};
    if (name[0] == '\0' && cpuid(0x8000'0000).eax >= 0x8000'0004) {
        for (usize i = 0; i < 3; ++i) {
            const CpuidResult part = cpuid(0x8000'0002 + static_cast<u32>(i));
            std::memcpy(name + 16 * i, &part, sizeof part);
        }
    }
    std::string_view text(name);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    return text.empty() ? "unknown" : text;
}

namespace {

// What the kernel itself looks at and what programs ask /proc/cpuinfo for, by bit; "-" for the rest. The names are Linux's
// (arch/x86/include/asm/cpufeatures.h).
struct FeatureWord {
    u32 leaf;
    u32 CpuidResult::* word;
    const char* names;
};
constexpr FeatureWord kFeatureWords[] = {
    {1, &CpuidResult::edx, "fpu - - - tsc msr pae - cx8 apic - - - pge - cmov - - - - - - - mmx fxsr sse sse2"},
    {0x8000'0001, &CpuidResult::edx, "- - - - - - - - - - - syscall - - - - - - - - nx - - - - - pdpe1gb - - lm"},
    {1, &CpuidResult::ecx,
     "pni - - - - - - - - ssse3 - - fma cx16 - - - - - sse4_1 sse4_2 - - popcnt - aes xsave - avx - rdrand hypervisor"},
    {7, &CpuidResult::ebx, "- - - bmi1 - avx2 - smep bmi2 erms - - - - - - - - - - smap"},
    {7, &CpuidResult::ecx, "- - umip"},
};

}  // namespace

std::string_view cpu_feature_names() {
    // Two CPUs that come here first at once write the same bytes to the same places.
    static constinit char buffer[256] = {};
    static constinit usize length = 0;
    if (length != 0) return {buffer, length};
    BufferSink sink(buffer);
    const u32 highest_leaf = cpuid(0).eax;
    for (const FeatureWord& word : kFeatureWords) {
        if (word.leaf < 0x8000'0000 && word.leaf > highest_leaf) continue;
        const u32 bits = cpuid(word.leaf).*word.word;
        std::string_view rest = word.names;
        for (u32 bit = 0; !rest.empty(); ++bit) {
            const std::string_view name = rest.substr(0, rest.find(' '));
            rest.remove_prefix(name.size() < rest.size() ? name.size() + 1 : rest.size());
            if (name != "-" && (bits >> bit & 1) != 0) format_to(sink, "{} ", name);
        }
    }
    length = sink.view().size() - 1;  // without the last space
    return {buffer, length};
}

}  // namespace hd::arch
