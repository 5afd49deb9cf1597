// SPDX-License-Identifier: MIT
// System calls of memory: mmap(2) and relatives.
#include "kernel/core/call_function.hpp"
#include "kernel/core/percpu.hpp"
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

// ---- locked memory: no page here is ever taken from a program, so what there is to do is to fetch them

namespace {

struct PageRange {
    u64 begin, end;
};

// The pages that hold the bytes. EINVAL: they wrap. (A size that wraps when it is rounded up is 0, as on Linux.)
Result<PageRange> pages_of(u64 address, u64 size) {
    const u64 begin = address - address % mm::kPageSize;
    const u64 end = begin + align_up(size + address % mm::kPageSize, mm::kPageSize);
    if (end < begin) return fail(Errno::kEINVAL);
    return PageRange{begin, end};
}

// EPERM, ENOMEM: RLIMIT_MEMLOCK, which holds for each call by itself. ENOMEM: not all of it is mapped, or may be read.
Result<> lock_range(u64 address, u64 size, bool fetch) {
    const auto [begin, end] = TRY(pages_of(address, size));
    const u64 limit = process().limit(abi::kRLIMIT_MEMLOCK);
    if (!me().is_root() && limit == 0) return fail(Errno::kEPERM);
    if (!me().is_root() && end - begin > limit) return fail(Errno::kENOMEM);
    TRY(space().check_mapped(VirtAddr{begin}, end - begin));
    for (u64 page = begin; fetch && page != end; page += mm::kPageSize) {
        u8 byte;
        if (!mm::copy_from_user(&byte, page, 1)) return fail(Errno::kENOMEM);
    }
    return {};
}

}  // namespace

Answer sys_mlock(Address address, Size size) { return lock_range(address, size, true); }

Answer sys_mlock2(Address address, Size size, Flags flags) {
    if ((flags & ~abi::kMLOCK_ONFAULT) != 0) return fail(Errno::kEINVAL);
    return lock_range(address, size, (flags & abi::kMLOCK_ONFAULT) == 0);
}

Answer sys_munlock(Address address, Size size) {
    const auto [begin, end] = TRY(pages_of(address, size));
    return space().check_mapped(VirtAddr{begin}, end - begin);
}

Answer sys_mlockall(Flags flags) {
    constexpr u32 kKnown = abi::kMCL_CURRENT | abi::kMCL_FUTURE | abi::kMCL_ONFAULT;
    if (flags == 0 || (flags & ~kKnown) != 0 || flags == abi::kMCL_ONFAULT) return fail(Errno::kEINVAL);
    return me().is_root() || process().limit(abi::kRLIMIT_MEMLOCK) != 0 ? Result<>() : fail(Errno::kEPERM);
}

Answer sys_munlockall() { return 0; }

// ---- memory barriers on other CPUs

// An interrupt and its acknowledgement are a full barrier there (SDM 3A, 8.2.5). All CPUs get one: the caller asks for it so that its
// other threads need none on their hot paths.
Answer sys_membarrier(Int command, Flags flags, Int) {
    constexpr i32 kRegistrations =
        abi::kMEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | abi::kMEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    if (flags != 0) return fail(Errno::kEINVAL);
    switch (command) {
    case abi::kMEMBARRIER_CMD_QUERY:
        return kRegistrations | abi::kMEMBARRIER_CMD_GLOBAL | abi::kMEMBARRIER_CMD_GLOBAL_EXPEDITED |
               abi::kMEMBARRIER_CMD_PRIVATE_EXPEDITED;
    case abi::kMEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case abi::kMEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
        space().registered_barriers.fetch_or(command, std::memory_order_relaxed);  // a fact about the program's intent
        return 0;
    case abi::kMEMBARRIER_CMD_PRIVATE_EXPEDITED:
        if ((space().registered_barriers.load(std::memory_order_relaxed) &
             abi::kMEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
            return fail(Errno::kEPERM);
        [[fallthrough]];
    case abi::kMEMBARRIER_CMD_GLOBAL:
    case abi::kMEMBARRIER_CMD_GLOBAL_EXPEDITED: core::call_on(core::online_cpus(), [](void*) {}, nullptr); return 0;
    default: return fail(Errno::kEINVAL);
    }
}

}  // namespace hd::syscall
