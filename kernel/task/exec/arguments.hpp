// SPDX-License-Identifier: MIT
// The strings that execve(2) hands to a program, kept in kernel memory while the old memory goes and the new one comes, and the
// block at the top of the new stack (System V ABI, AMD64 supplement, 3.4.1):
//
//     sp ──► argc, argv pointers, 0, environment pointers, 0, auxiliary vector, padding to 16,
//            16 random bytes, platform name, argument strings, environment strings, file name, 8 zero bytes ◄── top
//
// Host-tested. May allocate; copying from user memory may sleep.
#pragma once
#include <span>
#include <string_view>

#include "kernel/abi/elf.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"
#include "kernel/mm/slab/object_cache.hpp"

namespace hd::task {

inline constexpr u64 kMaxStringSize = u64{128} << 10;  // NUL included (execve(2), MAX_ARG_STRLEN)

// Strings one after the other, each with its NUL, in pages.
class StringBlock {
public:
    StringBlock() = default;
    ~StringBlock();
    StringBlock(const StringBlock&) = delete;
    StringBlock& operator=(const StringBlock&) = delete;
    StringBlock(StringBlock&& other) noexcept { swap(other); }
    StringBlock& operator=(StringBlock&& other) noexcept { return swap(other), *this; }

    u32 count() const { return count_; }
    u64 size() const { return size_; }

    Result<> append(std::string_view text);  // ENOMEM
    // All strings of another block from the second on.
    Result<> append_tail(const StringBlock& other);
    // A user's array of pointers that ends with a null pointer; a null array is an empty one. `limit`: bytes that strings and
    // pointers may take. EFAULT, E2BIG, ENOMEM.
    Result<> append_user_array(u64 array, u64 limit);

    // Calls visit(span<const u8>) -> Result<> for the bytes, piece by piece.
    template <class Visitor> Result<> for_each_piece(Visitor visit) const {
        for (const Page* page = first_; page != nullptr; page = page->next) TRY(visit(page->used_bytes()));
        return {};
    }

private:
    struct Page : mm::CachedBy<Page> {
        static constexpr const char* kCacheName = "exec_strings";
        static constexpr usize kCapacity = 4096 - 16;
        Page* next = nullptr;
        u64 used = 0;
        u8 bytes[kCapacity];
        std::span<const u8> used_bytes() const { return {bytes, used}; }
    };
    Result<Page*> page_with_room();
    Result<> append_bytes(std::span<const u8> bytes);
    Result<> append_user_string(u64 address, u64 limit);
    void swap(StringBlock& other);

    Page* first_ = nullptr;
    Page* last_ = nullptr;
    u32 count_ = 0;
    u64 size_ = 0;
};

// What is to run.
struct Program {
    std::string_view path;  // as the caller named it: AT_EXECFN, and its last component the thread's name
    StringBlock arguments, environment;
};

// Where the pieces of the block go. `aux_entries` counts AT_NULL too.
struct StackLayout {
    u64 random, platform, arguments, environment, file_name;
    u64 stack_pointer;  // 16-byte aligned: argc
};
StackLayout plan_stack(u64 top, const Program& program, std::string_view platform, usize aux_entries);

// How the block gets to its place.
using StackWriter = Result<> (*)(u64 address, std::span<const u8> bytes);
Result<> write_stack(StackWriter write, const StackLayout& layout, const Program& program, std::string_view platform,
                     std::span<const u8, 16> random, std::span<const abi::AuxEntry> auxiliary);

}  // namespace hd::task
