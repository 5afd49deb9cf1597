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

    // One range more or less of an address space shows it (MappedSource); `writable`: shared, and may be written to. Any address
    // space's lock may be held.
    virtual void mapped(bool /*writable*/) {}
    virtual void unmapped(bool /*writable*/) {}
    // Is it of a class that the caller knows by its tag?
    virtual const void* type_tag() const { return nullptr; }

    // What /proc/PID/maps shows: device, inode number and path.
    struct Description {
        u32 device_major, device_minor;
        u64 inode;
    };
    virtual Description describe_source() const = 0;
    virtual void source_path(TextSink& sink) const = 0;
};

// A mapping's reference to its source, which counts it.
class MappedSource {
public:
    MappedSource() = default;
    MappedSource(RefPtr<PageSource> source, bool writable) : source_(std::move(source)), writable_(writable) {
        if (source_) source_->mapped(writable_);
    }
    MappedSource(const MappedSource& other) : MappedSource(other.source_, other.writable_) {}
    MappedSource(MappedSource&&) = default;
    MappedSource& operator=(MappedSource other) {
        std::swap(source_, other.source_);
        std::swap(writable_, other.writable_);
        return *this;
    }
    ~MappedSource() {
        if (source_) source_->unmapped(writable_);
    }
    PageSource* get() const { return source_.get(); }
    PageSource* operator->() const { return source_.get(); }
    PageSource& operator*() const { return *source_; }
    explicit operator bool() const { return static_cast<bool>(source_); }
    friend bool operator==(const MappedSource& a, const MappedSource& b) { return a.source_ == b.source_; }

private:
    RefPtr<PageSource> source_;
    bool writable_ = false;
};

}  // namespace hd::mm
