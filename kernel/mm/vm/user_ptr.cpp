// SPDX-License-Identifier: MIT
#include "kernel/mm/vm/user_ptr.hpp"

#include <algorithm>

namespace hd::mm {

Result<std::string_view> copy_string_from_user(std::span<char> buffer, u64 from) {
    core::assert_may_sleep();
    if (from >= arch::kUserEnd.raw) return fail(Errno::kEFAULT);
    const usize capacity = std::min<u64>(buffer.size(), arch::kUserEnd.raw - from);
    const i64 length = arch::copy_string_from_user_raw(buffer.data(), from, capacity);
    if (length < 0) return fail(Errno::kEFAULT);
    if (static_cast<usize>(length) == capacity)
        return fail(capacity < buffer.size() ? Errno::kEFAULT : Errno::kENAMETOOLONG);
    return std::string_view(buffer.data(), static_cast<usize>(length));
}

}  // namespace hd::mm
