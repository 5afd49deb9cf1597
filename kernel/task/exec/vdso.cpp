// SPDX-License-Identifier: MIT
// See vdso.hpp. All programs show the same frames, which live for ever; what writes to a page of its own mapping, as a debugger does,
// gets a copy, for the mapping is private.
#include "kernel/task/exec/vdso.hpp"

#include <cstring>

#include "arch/vdso.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/time/timer.hpp"

namespace hd::task {

namespace {

class VdsoSource final : public mm::PageSource {
public:
    static constexpr usize kMostPages = 3;

    Result<mm::FrameRef> page(u64 index, mm::PageUse /*use*/) override {
        return index < pages_ ? Result<mm::FrameRef>(frames_[index]) : fail(Errno::kENXIO);
    }
    Description describe_source() const override { return {0, 0, 0}; }
    void source_path(TextSink& sink) const override { sink.put("[vdso]"); }

    // Null: there is no memory.
    u8* add_page() {
        ASSERT(pages_ < kMostPages, "the vDSO has grown");
        const auto frame = mm::allocate_frame(mm::Zero::Yes);
        if (!frame) return nullptr;
        frames_[pages_] = mm::FrameRef(kAdoptRef, *frame);
        return mm::bytes_of(*frames_[pages_++]);
    }
    u64 size() const { return pages_ * mm::kPageSize; }

private:
    mm::FrameRef frames_[kMostPages];  // constant after boot
    usize pages_ = 0;
};

constinit VdsoSource* g_source = nullptr;

}  // namespace

void init_vdso() {
    auto* const source = new (std::nothrow) VdsoSource;
    const std::span<const u8> image = arch::vdso_image();
    for (usize at = 0; at < image.size(); at += mm::kPageSize) {
        u8* const page = source != nullptr ? source->add_page() : nullptr;
        if (page == nullptr) core::panic("there is no memory for the vDSO");
        std::memcpy(page, &image[at], mm::kPageSize);
    }
    u8* const data = source->add_page();
    if (data == nullptr) core::panic("there is no memory for the vDSO");
    time::move_wall_clock(arch::vdso_init_data(data));
    g_source = source;
}

Result<VirtAddr> map_vdso(mm::AddressSpace& space) {
    return space.map({.size = g_source->size(), .protection = {.read = true, .execute = true}, .source = g_source});
}

}  // namespace hd::task
