// SPDX-License-Identifier: MIT
// /proc/PID/mounts (fstab(5)) and mountinfo (proc(5)), as seen from the reader's root directory.
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::proc {

namespace {

// What would end a field is written in octal.
void put_escaped(TextSink& sink, std::string_view text) {
    for (const char c : text) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\\')
            format_to(sink, "\\{:03o}", static_cast<u8>(c));
        else
            sink.put({&c, 1});
    }
}

void put_flags(TextSink& sink, u64 flags) {
    sink.put((flags & abi::kMS_RDONLY) != 0 ? "ro" : "rw");
    if ((flags & abi::kMS_NOSUID) != 0) sink.put(",nosuid");
    if ((flags & abi::kMS_NODEV) != 0) sink.put(",nodev");
    if ((flags & abi::kMS_NOEXEC) != 0) sink.put(",noexec");
    sink.put(",relatime");
}

Result<> put_point(TextSink& sink, const Mount& mount) {
    std::unique_ptr<char[]> space(new (std::nothrow) char[abi::kPATH_MAX]);
    if (!space) return fail(Errno::kENOMEM);
    const DentryRef root = task::current_process().fs->root();
    put_escaped(sink, TRY(path_of(*mount.root, *root, {space.get(), abi::kPATH_MAX})));
    return {};
}

u32 parent_id(const Mount& mount) {
    if (mount.point)
        for (usize i = 0; const RefPtr<Mount> other = MountTable::nth(i); ++i)
            if (other->file_system.get() == &mount.point->inode->file_system) return other->id;
    return mount.id;
}

}  // namespace

Result<> put_mounts(TextSink& sink, const Subject&) {
    for (usize i = 0; const RefPtr<Mount> mount = MountTable::nth(i); ++i) {
        put_escaped(sink, mount->source);
        sink.put(" ");
        TRY(put_point(sink, *mount));
        format_to(sink, " {} ", mount->file_system->type);
        put_flags(sink, mount->file_system->flags.load());
        mount->file_system->describe_options(sink);
        sink.put(" 0 0\n");
    }
    return {};
}

Result<> put_mountinfo(TextSink& sink, const Subject&) {
    for (usize i = 0; const RefPtr<Mount> mount = MountTable::nth(i); ++i) {
        format_to(sink, "{} {} 0:{} / ", mount->id, parent_id(*mount), mount->file_system->device_minor);
        TRY(put_point(sink, *mount));
        sink.put(" ");
        put_flags(sink, mount->file_system->flags.load());
        format_to(sink, " - {} ", mount->file_system->type);
        put_escaped(sink, mount->source);
        sink.put(mount->file_system->read_only() ? " ro" : " rw");
        mount->file_system->describe_options(sink);
        sink.put("\n");
    }
    return {};
}

}  // namespace hd::fs::proc
