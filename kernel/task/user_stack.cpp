// SPDX-License-Identifier: MIT
// See user_stack.hpp.
#include "kernel/task/user_stack.hpp"

#include "kernel/task/elf_symbols.hpp"

namespace hd::task {

namespace {

struct CodePlace {
    RefPtr<mm::PageSource> file;  // null: anonymous memory
    u64 offset = 0;               // in the file
    bool executable = false;
};

CodePlace place_of(mm::AddressSpace& space, u64 address) {
    CodePlace place;
    space.for_each_vma([&](const mm::Vma& vma) {
        if (!vma.contains(VirtAddr{address})) return;
        place = {RefPtr<mm::PageSource>(vma.source.get()), vma.offset_of(VirtAddr{address}), vma.protection.execute};
    });
    return place;
}

}  // namespace

void describe_user_address(TextSink& sink, mm::AddressSpace& space, u64 address) {
    const CodePlace place = place_of(space, address);
    char buffer[128];
    if (const auto found = place.file ? find_function(*place.file, place.offset, buffer) : std::nullopt)
        return format_to(sink, "{}+{:#x}", found->name, found->offset);
    format_to(sink, "{:#x}", address);
    if (!place.file) return;
    sink.put(" in ");
    place.file->source_path(sink);
}

UserStackWalk::UserStackWalk(const Thread& thread, mm::AddressSpace& space)
    : space_(space),
      ip_(thread.frame().ip().raw),
      scan_at_(thread.frame().sp().raw),
      frame_(thread.frame().frame_pointer()) {
    // A frame pointer, if it is one, points into the stack above the stack pointer.
    if (frame_ < scan_at_ || frame_ - scan_at_ > kLargestFrame || frame_ % 8 != 0) frame_ = 0;
    scan_end_ = frame_ != 0 && frame_ - scan_at_ < kMostScanned ? frame_ : scan_at_ + kMostScanned;
}

// Behind a call: E8 and a distance, or FF with a register or memory operand of 2, 3, 4, 6 or 7 bytes (SDM 2A, CALL).
bool UserStackWalk::is_return_address(u64 address) const {
    u8 before[7];
    if (address < sizeof before || !place_of(space_, address).executable) return false;
    if (space_.read_foreign(VirtAddr{address - sizeof before}, before, sizeof before) != sizeof before) return false;
    if (before[2] == 0xe8) return true;
    for (const usize length : {2, 3, 4, 6, 7}) {
        const u8* const call = before + sizeof before - length;
        if (call[0] == 0xff && (call[1] >> 3 & 7) == 2) return true;
    }
    return false;
}

u64 UserStackWalk::scan() {
    for (u64 word; scan_at_ + sizeof word <= scan_end_;) {
        if (!read(scan_at_, word)) break;
        scan_at_ += sizeof word;
        if (is_return_address(word)) return word;
    }
    scan_at_ = scan_end_;
    return 0;
}

u64 UserStackWalk::next() {
    if (const u64 here = std::exchange(ip_, 0)) return here;
    certain_ = false;
    if (const u64 found = scan()) return found;
    certain_ = true;
    u64 caller_frame, address;
    if (frame_ == 0 || !read(frame_, caller_frame) || !read(frame_ + 8, address) ||
        !place_of(space_, address).executable)
        return 0;
    const bool goes_up = caller_frame > frame_ && caller_frame - frame_ <= kLargestFrame && caller_frame % 8 == 0;
    frame_ = goes_up ? caller_frame : 0;
    return address;
}

}  // namespace hd::task
