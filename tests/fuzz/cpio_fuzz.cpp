// SPDX-License-Identifier: MIT
// libFuzzer target for the initramfs parser: whatever the bytes are, every entry that it gives lies within them.
#include <cstdlib>

#include "kernel/fs/initramfs/cpio.hpp"

namespace {

void check(std::span<const hd::u8> image, const void* begin, std::size_t size) {
    const auto* first = static_cast<const hd::u8*>(begin);
    if (size != 0 && (first < image.data() || size > image.size() || first > image.data() + image.size() - size))
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const hd::u8* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const hd::u8* data, std::size_t size) {
    hd::fs::CpioReader reader({data, size});
    hd::u64 last = 0;
    for (hd::fs::CpioEntry entry;;) {
        const auto more = reader.next(entry);
        if (!more && (more.error().offset > size || more.error().reason == nullptr)) std::abort();
        if (!more || !*more) return 0;
        check({data, size}, entry.name.data(), entry.name.size());
        check({data, size}, entry.data.data(), entry.data.size());
        if (entry.offset < last) std::abort();
        last = entry.offset;
    }
}
