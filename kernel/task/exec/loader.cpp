// SPDX-License-Identifier: MIT
// Loading programs: kernel/task/exec/loader.hpp.
#include "kernel/task/exec/loader.hpp"

#include <algorithm>
#include <cstring>

#include "arch/user.hpp"
#include "kernel/core/log.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::task {

namespace {

constexpr u64 kPieBase = 0x5555'5555'4000;  // where Linux puts position-independent programs without randomisation
constexpr u32 kMaxScripts = 5;              // what Linux does; execve(2) says four
constexpr usize kHeadSize = 256;            // Linux: BINPRM_BUF_SIZE

// The file's bytes from `offset` on; fewer than asked at its end. EACCES: it has no pages, like a device.
Result<usize> read_file(fs::Inode& inode, u64 offset, std::span<u8> to) {
    if (offset >= inode.size()) return 0;
    to = to.first(std::min<u64>(to.size(), inode.size() - offset));
    for (usize done = 0; done < to.size();) {
        const u64 at = offset + done, in_page = at % mm::kPageSize;
        const usize part = std::min(to.size() - done, mm::kPageSize - in_page);
        const mm::FrameRef frame = TRY(inode.page(at / mm::kPageSize, mm::PageUse::Read));
        if (frame)
            std::memcpy(to.data() + done, mm::bytes_of(*frame) + in_page, part);
        else
            std::memset(to.data() + done, 0, part);
        done += part;
    }
    return to.size();
}

Result<fs::DentryRef> find_file(const fs::WalkStart& start, std::string_view path) {
    fs::DentryRef file = TRY(fs::walk(start, path, fs::FollowLast::Yes));
    const fs::Inode& inode = *file->inode;
    if (inode.kind != fs::InodeKind::Regular) return fail(Errno::kEACCES);
    // relaxed: a remount decides about what is executed after it.
    if ((inode.file_system.flags.load(std::memory_order_relaxed) & abi::kMS_NOEXEC) != 0) return fail(Errno::kEACCES);
    TRY(inode.check_access(*start.who, fs::kMayExecute));
    return file;
}

Result<> read_image(fs::Inode& inode, std::span<const u8> head, ElfImage& image) {
    const ElfTable table = TRY(elf_table(head));
    if (table.offset + table.size <= head.size()) return parse_elf(head, head.subspan(table.offset, table.size), image);
    const std::unique_ptr<u8[]> bytes(new (std::nothrow) u8[table.size]);
    if (!bytes) return fail(Errno::kENOMEM);
    const usize size = TRY(read_file(inode, table.offset, {bytes.get(), table.size}));
    return parse_elf(head, {bytes.get(), size}, image);
}

// The dynamic linker that the program asks for must be there (ENOENT, EACCES); running it is not supported.
Result<> check_interpreter(const fs::WalkStart& start, fs::Inode& inode, const ElfImage& image, std::string_view path) {
    if (image.interpreter_size == 0) return {};
    const std::unique_ptr<char[]> name(new (std::nothrow) char[image.interpreter_size]);
    if (!name) return fail(Errno::kENOMEM);
    const usize size =
        TRY(read_file(inode, image.interpreter_offset, {reinterpret_cast<u8*>(name.get()), image.interpreter_size}));
    if (size != image.interpreter_size || name[size - 1] != 0) return fail(Errno::kENOEXEC);
    TRY(find_file(start, name.get()));
    log::info("exec: {}: dynamically linked programs are not supported yet", path);
    return fail(Errno::kENOEXEC);
}

// argv becomes: interpreter, its argument, the script's path, and the old argv from its second string on.
Result<> rewrite_arguments(StringBlock& arguments, const ScriptLine& line, std::string_view script) {
    StringBlock fresh;
    TRY(fresh.append(line.interpreter));
    if (!line.argument.empty()) TRY(fresh.append(line.argument));
    TRY(fresh.append(script));
    TRY(fresh.append_tail(arguments));
    arguments = std::move(fresh);
    return {};
}

mm::Protection protection_of(const ElfSegment& segment) {
    return {.read = segment.read, .write = segment.write, .execute = segment.execute};
}

// A PT_LOAD is up to two mappings: the file's pages, the last of which ends in zeros where the file's part ends, and
// anonymous memory for whole pages behind it.
Result<> map_segment(mm::AddressSpace& space, fs::Dentry& file, const ElfSegment& segment, u64 bias) {
    const u64 begin = align_down(segment.address + bias, mm::kPageSize);
    const u64 file_end = segment.address + bias + segment.file_size;
    const u64 file_pages_end = segment.file_size == 0 ? begin : align_up(file_end, mm::kPageSize);
    const u64 end = align_up(segment.address + bias + segment.memory_size, mm::kPageSize);
    mm::MapRequest request{.address = VirtAddr{begin}, .protection = protection_of(segment), .fixed = true};
    if (file_pages_end != begin) {
        request.size = file_pages_end - begin;
        request.source = &file;
        request.offset = align_down(segment.offset, mm::kPageSize);
        if (segment.memory_size > segment.file_size) request.source_end = segment.offset + segment.file_size;
        TRY(space.map(request));
    }
    if (end > file_pages_end) {
        request = {.address = VirtAddr{file_pages_end}, .protection = protection_of(segment), .fixed = true};
        request.size = end - file_pages_end;
        TRY(space.map(request));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Executable>> find_executable(const fs::WalkStart& start, std::string_view path,
                                                    StringBlock& arguments) {
    std::unique_ptr<Executable> executable = TRY(mm::make<Executable>());  // too large for the stack
    Executable& found = *executable;
    u8 head[kHeadSize];
    char interpreter[kHeadSize];
    for (u32 scripts = 0;; ++scripts) {
        found.file = TRY(ProgramFile::create(TRY(find_file(start, path))));
        found.script = scripts != 0;
        fs::Inode& inode = *found.file->dentry->inode;
        const usize size = TRY(read_file(inode, 0, head));
        const auto line = parse_script({head, size});
        if (!line) {
            TRY(read_image(inode, {head, size}, found.image));
            break;
        }
        if (scripts == kMaxScripts) return fail(Errno::kELOOP);
        TRY(rewrite_arguments(arguments, *line, path));
        std::memcpy(interpreter, line->interpreter.data(), line->interpreter.size());
        path = {interpreter, line->interpreter.size()};
    }
    TRY(check_interpreter(start, *found.file->dentry->inode, found.image, path));
    found.bias = found.image.position_independent ? kPieBase - align_down(found.image.begin(), mm::kPageSize) : 0;
    if (found.image.end() + found.bias > arch::kUserEnd.raw - mm::kPageSize) return fail(Errno::kENOEXEC);
    return executable;
}

Result<RefPtr<mm::AddressSpace>> map_executable(const Executable& executable) {
    const RefPtr<mm::AddressSpace> space = TRY(mm::AddressSpace::create());
    auto& layout = space->layout;
    for (const ElfSegment& segment : executable.image.loads()) {
        TRY(map_segment(*space, *executable.file->dentry, segment, executable.bias));
        const VirtAddr begin{segment.address + executable.bias};
        (segment.execute ? layout.code_start : layout.data_start) = begin;
        (segment.execute ? layout.code_end : layout.data_end) = begin + segment.file_size;
    }
    layout.heap_start = VirtAddr{align_up(executable.image.end() + executable.bias, mm::kPageSize)};
    space->set_initial_break(layout.heap_start);
    return space;
}

}  // namespace hd::task
