// SPDX-License-Identifier: MIT
// libFuzzer target for the initramfs parser: whatever the bytes are, every entry that it gives lies within them.
#include <cstdlib>

#include "kernel/fs/initramfs/cpio.hpp"

namespace {

class Check final : public hd::fs::CpioVisitor {
public:
    explicit Check(std::span<const hd::u8> image) : image_(image) {}
    std::expected<void, const char*> entry(const hd::fs::CpioEntry& entry) override {
        check(entry.name.data(), entry.name.size());
        check(entry.data.data(), entry.data.size());
        if (entry.offset < last_) std::abort();
        last_ = entry.offset;
        if ((entry.mode & 0170000) == 0) return std::unexpected("no type");
        return {};
    }

private:
    void check(const void* begin, std::size_t size) const {
        const auto* first = static_cast<const hd::u8*>(begin);
        if (size != 0 &&
            (first < image_.data() || size > image_.size() || first > image_.data() + image_.size() - size))
            std::abort();
    }
    std::span<const hd::u8> image_;
    hd::u64 last_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const hd::u8* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const hd::u8* data, std::size_t size) {
    Check check({data, size});
    const auto parsed = hd::fs::parse_cpio({data, size}, check);
    if (!parsed && (parsed.error().offset > size || parsed.error().reason == nullptr)) std::abort();
    return 0;
}
