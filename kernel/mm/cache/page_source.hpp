// SPDX-License-Identifier: MIT
// PageSource: what a file mapping takes its pages from. An inode is one; address spaces know nothing else of files.
#pragma once
#include "kernel/lib/format.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/mm/phys/frame.hpp"

namespace hd::mm {

enum class PageUse : u8 {
    Read,        // a hole may answer with an empty FrameRef: the caller uses zeros
    Write,       // a shared writable mapping or write(2): a hole gets a frame
    CachedOnly,  // only if it is there already, without waiting (fault-around)
};

class PageSource : public RefCounted<PageSource> {
public:
    virtual ~PageSource() = default;
    virtual void last_reference() { delete this; }

    // The frame of the file's page `index`. May sleep (but for CachedOnly). Errors: kENOMEM; kENXIO past the end of the
    // file (a mapping turns it into SIGBUS); kEIO.
    virtual Result<FrameRef> page(u64 index, PageUse use) = 0;

    // What the source is, whatever name leads to it: two mappings with the same identity and offset show the same page. Compared,
    // never followed.
    virtual const void* identity() const { return this; }

    // What /proc/PID/maps shows: device, inode number and path.
    struct Description {
        u32 device_major, device_minor;
        u64 inode;
    };
    virtual Description describe_source() const = 0;
    virtual void source_path(TextSink& sink) const = 0;
};

}  // namespace hd::mm
