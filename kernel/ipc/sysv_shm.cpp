// SPDX-License-Identifier: MIT
// See sysv_shm.hpp.
#include "kernel/ipc/sysv_shm.hpp"

#include "kernel/mm/cache/page_cache.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

constinit SysvTable g_segments{static_cast<u32>(abi::kSHMMNI)};

i32 my_pid() { return task::current_process().pid(); }

struct Segment final : SysvObject {
    Segment(i32 key, u32 mode, u64 bytes) : SysvObject(key, mode), size(bytes), creator(my_pid()) {}

    const u64 size;  // bytes, as asked for
    const i32 creator;
    mm::PageCache pages;
    // All guarded by `lock`.
    u64 mappings = 0;
    i64 attached_at = 0, detached_at = 0;
    i32 last_pid = 0;
    bool doomed = false;  // IPC_RMID: goes with its last mapping

    u64 page_count() const { return align_up(size, mm::kPageSize) / mm::kPageSize; }
};

// What an address space knows of a segment.
class SegmentSource final : public mm::PageSource {
public:
    static constexpr char kTag = 0;

    explicit SegmentSource(RefPtr<Segment> of) : segment(std::move(of)) {}

    Result<mm::FrameRef> page(u64 index, mm::PageUse use) override {
        if (index >= segment->page_count()) return fail(Errno::kENXIO);
        mm::FrameRef found = segment->pages.find(index);
        if (found || use == mm::PageUse::CachedOnly) return found;
        return segment->pages.get_or_create(index);
    }
    const void* identity() const override { return segment.get(); }
    const void* type_tag() const override { return &kTag; }
    Description describe_source() const override { return {0, 1, static_cast<u64>(segment->id)}; }
    void source_path(TextSink& sink) const override {
        const i32 key = [this] {
            core::LockGuard guard(segment->lock);
            return segment->permissions.key;
        }();
        format_to(sink, "/SYSV{:08x} (deleted)", static_cast<u32>(key));
    }
    void mapped(bool) override {
        core::LockGuard guard(segment->lock);
        ++segment->mappings;
        segment->attached_at = seconds_now();
        segment->last_pid = my_pid();
    }
    void unmapped(bool) override {
        {
            core::LockGuard guard(segment->lock);
            --segment->mappings;
            segment->detached_at = seconds_now();
            segment->last_pid = my_pid();
            if (segment->mappings != 0 || !segment->doomed) return;
            segment->removed = true;
        }
        g_segments.remove(*segment);
    }

    const RefPtr<Segment> segment;
};

Result<RefPtr<Segment>> find(i32 id) { return find_sysv<Segment>(g_segments, id); }

}  // namespace

Result<i32> shm_get(i32 key, u64 size, u32 flags) {
    const auto make = [&]() -> Result<RefPtr<SysvObject>> {
        if (size == 0 || size > abi::kSHMMAX) return fail(Errno::kEINVAL);
        if ((flags & abi::kSHM_HUGETLB) != 0 || size / mm::kPageSize > mm::frame_counts().total)
            return fail(Errno::kENOMEM);
        return TRY(mm::make_ref<Segment>(key, flags, size));
    };
    const auto accept = [&](SysvObject& found) -> Result<> {
        return size <= static_cast<Segment&>(found).size ? Result<>() : fail(Errno::kEINVAL);
    };
    return g_segments.get(key, flags, make, accept);
}

Result<VirtAddr> shm_attach(i32 id, VirtAddr address, u32 flags) {
    const bool remap = (flags & abi::kSHM_REMAP) != 0, read_only = (flags & abi::kSHM_RDONLY) != 0;
    const bool execute = (flags & abi::kSHM_EXEC) != 0;
    if (id < 0 || (remap && address.raw == 0)) return fail(Errno::kEINVAL);
    if (address.raw % mm::kPageSize != 0) {
        if ((flags & abi::kSHM_RND) == 0) return fail(Errno::kEINVAL);
        address = address.align_down(mm::kPageSize);
        if (address.raw == 0 && remap) return fail(Errno::kEINVAL);
    }
    const RefPtr<Segment> segment = TRY(find(id));
    {
        core::LockGuard guard(segment->lock);
        TRY(segment->check_access_locked((read_only ? 0444 : 0666) | (execute ? 0111 : 0)));
        if (segment->removed) return fail(Errno::kEIDRM);
        ++segment->mappings;  // so that it stays until it is mapped
    }
    const auto source = mm::make_ref<SegmentSource>(segment);
    Result<VirtAddr> begin = fail(Errno::kENOMEM);
    if (source) {
        mm::MapRequest request{.address = address, .size = segment->size};
        request.protection = {.read = true, .write = !read_only, .execute = execute};
        request.fixed = address.raw != 0;
        request.no_replace = !remap;
        request.shared = true;
        request.may_write = !read_only;
        request.source = source->get();
        begin = task::current_process().space->map(request);
        if (!begin && begin.error() == Errno::kEEXIST) begin = fail(Errno::kEINVAL);
    }
    bool last;
    {
        core::LockGuard guard(segment->lock);
        last = --segment->mappings == 0 && segment->doomed;
        segment->removed = segment->removed || last;
    }
    if (last) g_segments.remove(*segment);
    return begin;
}

Result<> shm_detach(VirtAddr address) {
    if (address.raw % mm::kPageSize != 0) return fail(Errno::kEINVAL);
    mm::AddressSpace& space = *task::current_process().space;
    const RefPtr<mm::PageSource> source = space.source_from(address, &SegmentSource::kTag);
    if (!source) return fail(Errno::kEINVAL);
    return space.unmap_source_at(address, *source, static_cast<SegmentSource&>(*source).segment->size);
}

// ---- shmctl(2)

namespace {

Result<i32> tell_limits(u64 address) {
    const abi::ShmLimits limits{abi::kSHMMAX, 1, abi::kSHMMNI, abi::kSHMMNI, abi::kSHMMAX, {}};
    TRY(mm::copy_to_user(address, &limits, sizeof limits));
    return g_segments.highest_index();
}

Result<i32> tell_usage(u64 address) {
    abi::ShmInfo info{};
    info.used_ids = static_cast<i32>(g_segments.count());
    g_segments.for_each([&](SysvObject& object) {
        auto& segment = static_cast<Segment&>(object);
        info.shm_tot += segment.page_count();
        info.shm_rss += segment.pages.page_count();
    });
    TRY(mm::copy_to_user(address, &info, sizeof info));
    return g_segments.highest_index();
}

Result<i32> tell_state(const RefPtr<Segment>& segment, bool checked, i32 result, u64 address) {
    abi::ShmidDs state{};
    {
        core::LockGuard guard(segment->lock);
        if (segment->removed) return fail(Errno::kEIDRM);
        if (checked) TRY(segment->check_access_locked(0444));
        state.perm = segment->permissions;
        state.segsz = segment->size;
        state.atime = segment->attached_at;
        state.dtime = segment->detached_at;
        state.ctime = segment->changed_at;
        state.cpid = segment->creator;
        state.lpid = segment->last_pid;
        state.nattch = segment->mappings;
    }
    TRY(mm::copy_to_user(address, &state, sizeof state));
    return result;
}

Result<> remove(const RefPtr<Segment>& segment) {
    {
        core::LockGuard guard(segment->lock);
        if (segment->removed) return fail(Errno::kEIDRM);
        TRY(segment->check_owner_locked());
        if (segment->mappings != 0) {
            segment->doomed = true;
            segment->permissions.key = abi::kIPC_PRIVATE;
            segment->permissions.mode |= abi::kSHM_DEST;
            return {};
        }
        segment->removed = true;
    }
    g_segments.remove(*segment);
    return {};
}

// All memory stays in memory here, so this is a mark only.
Result<> set_locked_mark(Segment& segment, bool on) {
    core::LockGuard guard(segment.lock);
    if (segment.removed) return fail(Errno::kEIDRM);
    TRY(segment.check_owner_locked());
    u32& mode = segment.permissions.mode;
    mode = on ? mode | abi::kSHM_LOCKED : mode & ~abi::kSHM_LOCKED;
    return {};
}

}  // namespace

Result<i32> shm_control(i32 id, i32 command, u64 argument) {
    if (id < 0) return fail(Errno::kEINVAL);
    switch (command) {
    case abi::kIPC_INFO: return tell_limits(argument);
    case abi::kSHM_INFO: return tell_usage(argument);
    case abi::kIPC_STAT: return tell_state(TRY(find(id)), true, 0, argument);
    case abi::kSHM_STAT:
    case abi::kSHM_STAT_ANY: {
        const auto segment = TRY(find_sysv_by_index<Segment>(g_segments, id));
        return tell_state(segment, command == abi::kSHM_STAT, segment->id, argument);
    }
    case abi::kIPC_SET: {
        abi::ShmidDs wanted;
        TRY(mm::copy_from_user(&wanted, argument, sizeof wanted));
        const auto segment = TRY(find(id));
        core::LockGuard guard(segment->lock);
        if (segment->removed) return fail(Errno::kEIDRM);
        TRY(segment->check_owner_locked());
        segment->set_owner_locked(wanted.perm);
        return 0;
    }
    case abi::kIPC_RMID: TRY(remove(TRY(find(id)))); return 0;
    case abi::kSHM_LOCK:
    case abi::kSHM_UNLOCK: TRY(set_locked_mark(*TRY(find(id)), command == abi::kSHM_LOCK)); return 0;
    default: return fail(Errno::kEINVAL);
    }
}

}  // namespace hd::ipc
