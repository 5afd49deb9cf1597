// SPDX-License-Identifier: MIT
// Arguments on their way to a new program: kernel/task/exec/arguments.hpp.
#include "kernel/task/exec/arguments.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "kernel/mm/vm/user_ptr.hpp"

namespace hd::task {

namespace {

template <class T> std::span<const u8> bytes_of(std::span<const T> items) {
    return {reinterpret_cast<const u8*>(items.data()), items.size_bytes()};
}

Result<> put_word(StackWriter write, u64& at, u64 word) {
    TRY(write(at, bytes_of(std::span<const u64>(&word, 1))));
    at += sizeof(word);
    return {};
}

// The strings themselves at `address`, and a pointer to each at `pointers`, which moves on.
Result<> write_strings(StackWriter write, u64& pointers, const StringBlock& block, u64 address) {
    bool at_start = true;
    const auto write_piece = [&](std::span<const u8> piece) -> Result<> {
        TRY(write(address, piece));
        for (const u8* at = piece.data(); at != piece.data() + piece.size();) {
            if (at_start) TRY(put_word(write, pointers, address + static_cast<u64>(at - piece.data())));
            const u64 rest = static_cast<u64>(piece.data() + piece.size() - at);
            const auto* const end = static_cast<const u8*>(std::memchr(at, 0, rest));
            at_start = end != nullptr;
            at = at_start ? end + 1 : at + rest;
        }
        address += piece.size();
        return {};
    };
    TRY(block.for_each_piece(write_piece));
    return put_word(write, pointers, 0);
}

}  // namespace

StringBlock::~StringBlock() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
}

void StringBlock::swap(StringBlock& other) {
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    std::swap(count_, other.count_);
    std::swap(size_, other.size_);
}

Result<StringBlock::Page*> StringBlock::page_with_room() {
    if (last_ == nullptr || last_->used == Page::kCapacity) {
        Page* const page = new (std::nothrow) Page;
        if (page == nullptr) return fail(Errno::kENOMEM);
        (last_ == nullptr ? first_ : last_->next) = page;
        last_ = page;
    }
    return last_;
}

Result<> StringBlock::append_bytes(std::span<const u8> bytes) {
    while (!bytes.empty()) {
        Page& page = *TRY(page_with_room());
        const usize part = std::min<usize>(bytes.size(), Page::kCapacity - page.used);
        std::memcpy(page.bytes + page.used, bytes.data(), part);
        page.used += part;
        size_ += part;
        bytes = bytes.subspan(part);
    }
    return {};
}

Result<> StringBlock::append(std::string_view text) {
    constexpr u8 kEnd = 0;
    TRY(append_bytes(bytes_of(std::span<const char>(text))));
    TRY(append_bytes({&kEnd, 1}));
    ++count_;
    return {};
}

Result<> StringBlock::append_tail(const StringBlock& other) {
    bool in_first = true;
    const auto append_piece = [&](std::span<const u8> piece) -> Result<> {
        if (in_first) {
            const auto end = std::find(piece.begin(), piece.end(), 0);
            if (end == piece.end()) return {};
            in_first = false;
            piece = piece.subspan(static_cast<usize>(end - piece.begin()) + 1);
        }
        return append_bytes(piece);
    };
    TRY(other.for_each_piece(append_piece));
    if (other.count_ != 0) count_ += other.count_ - 1;
    return {};
}

Result<> StringBlock::append_user_string(u64 address, u64 limit) {
    limit = std::min(limit, kMaxStringSize);
    for (u64 length = 0; length < limit;) {
        Page& page = *TRY(page_with_room());
        const u64 room = std::min(Page::kCapacity - page.used, limit - length);
        char* const to = reinterpret_cast<char*>(page.bytes + page.used);
        const auto text = mm::copy_string_from_user({to, room}, address + length);
        if (!text && text.error() != Errno::kENAMETOOLONG) return fail(text.error());
        const u64 part = text ? text->size() + 1 : room;  // too long: the page is full of it, and there is more
        page.used += part;
        size_ += part;
        length += part;
        if (!text) continue;
        ++count_;
        return {};
    }
    return fail(Errno::kE2BIG);
}

Result<> StringBlock::append_user_array(u64 array, u64 limit) {
    if (array == 0) return {};
    for (;; array += sizeof(u64)) {
        const u64 string = TRY(mm::UserPtr<u64>(array).load());
        if (string == 0) return {};
        const u64 taken = size_ + (count_ + 1) * sizeof(u64);
        if (taken >= limit) return fail(Errno::kE2BIG);
        TRY(append_user_string(string, limit - taken));
    }
}

StackLayout plan_stack(u64 top, const Program& program, std::string_view platform, usize aux_entries) {
    StackLayout layout;
    layout.file_name = top - 8 - (program.path.size() + 1);
    layout.environment = layout.file_name - program.environment.size();
    layout.arguments = layout.environment - program.arguments.size();
    layout.platform = layout.arguments - (platform.size() + 1);
    layout.random = align_down<u64>(layout.platform - 16, 16);
    const u64 words = 1 + program.arguments.count() + 1 + program.environment.count() + 1 + 2 * aux_entries;
    layout.stack_pointer = align_down<u64>(layout.random - words * sizeof(u64), 16);
    return layout;
}

Result<> write_stack(StackWriter write, const StackLayout& layout, const Program& program, std::string_view platform,
                     std::span<const u8, 16> random, std::span<const abi::AuxEntry> auxiliary) {
    // What is not written is zero: the NULs behind the two names, the padding.
    TRY(write(layout.file_name, bytes_of(std::span<const char>(program.path))));
    TRY(write(layout.platform, bytes_of(std::span<const char>(platform))));
    TRY(write(layout.random, random));
    u64 at = layout.stack_pointer;
    TRY(put_word(write, at, program.arguments.count()));
    TRY(write_strings(write, at, program.arguments, layout.arguments));
    TRY(write_strings(write, at, program.environment, layout.environment));
    return write(at, bytes_of(auxiliary));
}

}  // namespace hd::task
