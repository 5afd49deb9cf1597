// SPDX-License-Identifier: MIT
// System calls of memory: mmap(2) and relatives.
#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/syscall/helpers.hpp"

namespace hd::syscall {

namespace {

mm::AddressSpace& space() { return *process().space; }

mm::Protection protection_of(u32 bits) {
    return {.read = (bits & abi::kPROT_READ) != 0,
            .write = (bits & abi::kPROT_WRITE) != 0,
            .execute = (bits & abi::kPROT_EXEC) != 0};
}

constexpr u32 kProtections = abi::kPROT_READ | abi::kPROT_WRITE | abi::kPROT_EXEC | abi::kPROT_SEM;

// Does the open mode allow such a mapping (mmap(2), EACCES)?
Result<> check_file(const fs::File& file, u32 protection, bool shared) {
    if (!file.readable()) return fail(Errno::kEACCES);
    if (shared && (protection & abi::kPROT_WRITE) != 0 && !file.writable()) return fail(Errno::kEACCES);
    return {};
}

// Sealed against writing (memfd_create(2))?
bool is_sealed(fs::File& file) {
    const Result<u32> seals = file.inode->seals();
    return seals && (*seals & (abi::kF_SEAL_WRITE | abi::kF_SEAL_FUTURE_WRITE)) != 0;
}

}  // namespace

Answer sys_mmap(Address address, Size size, Flags protection, Flags flags, Fd fd, Offset offset) {
    const u64 start = static_cast<u64>(offset);
    const u32 type = flags & abi::kMAP_TYPE;
    if (start % mm::kPageSize != 0) return fail(Errno::kEINVAL);
    if (type != abi::kMAP_SHARED && type != abi::kMAP_PRIVATE && type != abi::kMAP_SHARED_VALIDATE)
        return fail(Errno::kEINVAL);
    if ((flags & abi::kMAP_HUGETLB) != 0) return fail(Errno::kENOMEM);  // there are no huge pages to be had
    mm::MapRequest request{.address = VirtAddr{address}, .size = size, .protection = protection_of(protection)};
    request.fixed = (flags & (abi::kMAP_FIXED | abi::kMAP_FIXED_NOREPLACE)) != 0;
    request.no_replace = (flags & abi::kMAP_FIXED_NOREPLACE) != 0;
    request.shared = type != abi::kMAP_PRIVATE;
    request.grows_down = (flags & abi::kMAP_GROWSDOWN) != 0;
    request.no_reserve = (flags & abi::kMAP_NORESERVE) != 0;
    request.populate = (flags & (abi::kMAP_POPULATE | abi::kMAP_LOCKED)) != 0;
    fs::FileRef file;
    mm::MappedSource pin;
    if ((flags & abi::kMAP_ANONYMOUS) == 0) {
        file = TRY(file_of(fd));
        TRY(check_file(*file, protection, request.shared));
        if (start + size < size) return fail(Errno::kEOVERFLOW);
        request.source = TRY(file->map_source());
        request.offset = start;
        request.may_write = !request.shared || file->writable();
        // Counted as a mapping before the seals are looked at: after that F_SEAL_WRITE is refused.
        pin = mm::MappedSource(RefPtr<mm::PageSource>(request.source), request.shared && request.protection.write);
        if (request.shared && is_sealed(*file)) {
            if (request.protection.write) return fail(Errno::kEPERM);
            request.may_write = false;
        }
        if (request.grows_down) return fail(Errno::kEINVAL);
    } else if (type == abi::kMAP_SHARED_VALIDATE || (request.shared && request.grows_down)) {
        return fail(Errno::kEINVAL);
    }
    return TRY(space().map(request)).raw;
}

Answer sys_mprotect(Address address, Size size, Flags protection) {
    if (address % mm::kPageSize != 0 || (protection & ~kProtections) != 0) return fail(Errno::kEINVAL);
    if (size == 0) return 0;
    return space().protect(VirtAddr{address}, size, protection_of(protection));
}

Answer sys_munmap(Address address, Size size) {
    if (address % mm::kPageSize != 0 || size == 0) return fail(Errno::kEINVAL);
    return space().unmap(VirtAddr{address}, size);
}

Answer sys_brk(Address address) { return space().set_break(VirtAddr{address}).raw; }

Answer sys_mremap(Address address, Size old_size, Size new_size, Flags flags, Address) {
    // MREMAP_FIXED and MREMAP_DONTUNMAP are not supported; EINVAL is what mremap(2) documents for flags it does not take.
    if ((flags & ~abi::kMREMAP_MAYMOVE) != 0 || address % mm::kPageSize != 0 || new_size == 0)
        return fail(Errno::kEINVAL);
    return TRY(space().remap(VirtAddr{address}, old_size, new_size, (flags & abi::kMREMAP_MAYMOVE) != 0)).raw;
}

Answer sys_memfd_create(Text name, Flags flags) {
    constexpr usize kMostName = abi::kNAME_MAX - 6;  // "memfd:"
    if ((flags & ~(abi::kMFD_CLOEXEC | abi::kMFD_ALLOW_SEALING)) != 0) return fail(Errno::kEINVAL);
    char text[kMostName + 1];
    const auto label = mm::copy_string_from_user(text, name.address);
    if (!label) return fail(label.error() == Errno::kENAMETOOLONG ? Errno::kEINVAL : label.error());
    auto file = TRY(fs::make_memory_file(*label, (flags & abi::kMFD_ALLOW_SEALING) != 0, me()));
    return install(std::move(file), (flags & abi::kMFD_CLOEXEC) != 0);
}

// Mappings and files share their pages, and nothing is behind the files: there is nothing to write back.
Answer sys_msync(Address address, Size size, Flags flags) {
    constexpr u32 kBoth = abi::kMS_ASYNC | abi::kMS_SYNC;
    if (address % mm::kPageSize != 0 || (flags & ~(kBoth | abi::kMS_INVALIDATE)) != 0 || (flags & kBoth) == kBoth)
        return fail(Errno::kEINVAL);
    return space().check_mapped(VirtAddr{address}, size);
}

Answer sys_madvise(Address address, Size size, Int advice) {
    const u64 whole = align_up(size, mm::kPageSize);
    if (address % mm::kPageSize != 0 || whole < size || address + whole < address) return fail(Errno::kEINVAL);
    switch (advice) {
    case abi::kMADV_DONTNEED:
    case abi::kMADV_FREE:  // "may free": at once is allowed
        return size != 0 ? space().discard(VirtAddr{address}, size) : Result<>();
    case abi::kMADV_NORMAL:
    case abi::kMADV_RANDOM:
    case abi::kMADV_SEQUENTIAL:
    case abi::kMADV_WILLNEED:
    case abi::kMADV_HUGEPAGE:
    case abi::kMADV_NOHUGEPAGE:
    case abi::kMADV_DONTDUMP:
    case abi::kMADV_DODUMP: return space().check_mapped(VirtAddr{address}, size);  // advice only
    default: return fail(Errno::kEINVAL);
    }
}

}  // namespace hd::syscall
