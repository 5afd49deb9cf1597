// SPDX-License-Identifier: MIT
// Shared anonymous memory (mmap with MAP_SHARED | MAP_ANONYMOUS): a page source without a name, alive as long as a mapping of it.
#pragma once
#include "kernel/mm/cache/page_cache.hpp"
#include "kernel/mm/cache/page_source.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::mm {

class AnonymousSource final : public PageSource {
public:
    Result<FrameRef> page(u64 index, PageUse use) override {
        FrameRef found = pages_.find(index);
        if (found || use == PageUse::CachedOnly) return found;
        return pages_.get_or_create(index);
    }
    Description describe_source() const override { return {0, 1, 0}; }
    void source_path(TextSink& sink) const override { sink.put("/dev/zero (deleted)"); }  // Linux's name for it

private:
    PageCache pages_;
};

}  // namespace hd::mm
