// SPDX-License-Identifier: MIT
// execve(2): kernel/task/exec/exec.hpp. The new address space is built beside the old one; commit() is the point of no return.
#include "kernel/task/exec/exec.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/core/log.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/exec/elf.hpp"
#include "kernel/task/exec/vdso.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

namespace {

constexpr u64 kPieBase = 0x5555'5555'4000;     // where Linux puts position-independent programs without randomisation
constexpr u32 kMaxScripts = 5;                 // what Linux does; execve(2) says four
constexpr usize kHeadSize = 256;               // Linux: BINPRM_BUF_SIZE
constexpr u64 kInitialStack = u64{128} << 10;  // beyond what the arguments take; more comes by page faults
constexpr usize kAuxEntries = 21;

// The dynamic linker that a program names (PT_INTERP). It is mapped beside the program, and begins in its place: it finds the
// program by AT_PHDR and AT_ENTRY, and itself by AT_BASE.
struct Interpreter {
    fs::DentryRef file;
    ElfImage image;
};

// What is to run, after all "#!" lines have been followed.
struct Executable {
    RefPtr<ProgramFile> file;  // the ELF file
    bool script;               // the caller named a script, not the file (its set-id bits do not count)
    ElfImage image;
    u64 bias;                                  // what is added to the image's addresses
    std::unique_ptr<Interpreter> interpreter;  // null: it is linked statically
};

// ---- from a path to a new address space

// The file's bytes from `offset` on; fewer than asked at its end.
Result<usize> read_file(fs::Inode& inode, u64 offset, std::span<u8> to) {
    fs::IoBuffer buffer = fs::IoBuffer::kernel(to.data(), to.size());
    return fs::read_pages(inode, buffer, offset);
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
    const auto bytes = TRY(mm::make_array<u8>(table.size));
    const usize size = TRY(read_file(inode, table.offset, {bytes.get(), table.size}));
    return parse_elf(head, {bytes.get(), size}, image);
}

// The dynamic linker that the program asks for. ENOENT, EACCES; ENOEXEC: it is none.
Result<std::unique_ptr<Interpreter>> find_interpreter(const fs::WalkStart& start, fs::Inode& inode,
                                                      const ElfImage& image) {
    if (image.interpreter_size == 0) return nullptr;
    const auto name = TRY(mm::make_array<char>(image.interpreter_size));
    const usize size =
        TRY(read_file(inode, image.interpreter_offset, {reinterpret_cast<u8*>(name.get()), image.interpreter_size}));
    if (size != image.interpreter_size || name[size - 1] != 0) return fail(Errno::kENOEXEC);
    auto interpreter = TRY(mm::make<Interpreter>());
    interpreter->file = TRY(find_file(start, name.get()));
    u8 head[kHeadSize];
    const usize head_size = TRY(read_file(*interpreter->file->inode, 0, head));
    TRY(read_image(*interpreter->file->inode, {head, head_size}, interpreter->image));
    if (!interpreter->image.position_independent) return fail(Errno::kENOEXEC);
    return interpreter;
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
        TRY(space.map(request));
        // Zeros behind the file's part; in a segment that cannot be written its bytes stay (as in Linux).
        const u64 tail = segment.memory_size > segment.file_size && segment.write ? file_pages_end - file_end : 0;
        if (space.write_foreign(VirtAddr{file_end}, mm::bytes_of(mm::zero_frame()), tail) != tail)
            return fail(Errno::kENOMEM);
    }
    if (end > file_pages_end) {
        request = {.address = VirtAddr{file_pages_end}, .protection = protection_of(segment), .fixed = true};
        request.size = end - file_pages_end;
        TRY(space.map(request));
    }
    return {};
}

// `arguments` changes as scripts demand. ENOENT, EACCES, ENOEXEC, ETXTBSY, ELOOP (more than five scripts) and what walking the path
// and reading the file give. May sleep.
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
    found.interpreter = TRY(find_interpreter(start, *found.file->dentry->inode, found.image));
    found.bias = found.image.position_independent ? kPieBase - align_down(found.image.begin(), mm::kPageSize) : 0;
    if (found.image.end() + found.bias > arch::kUserEnd.raw - mm::kPageSize) return fail(Errno::kENOEXEC);
    return executable;
}

// A new space with the image's segments and the heap's start; layout is filled in.
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

// Where there is room for all of it. Returns what is added to its addresses (AT_BASE); 0: there is none.
Result<u64> map_interpreter(mm::AddressSpace& space, const Executable& executable) {
    if (!executable.interpreter) return 0;
    const ElfImage& image = executable.interpreter->image;
    const u64 begin = align_down(image.begin(), mm::kPageSize);
    const VirtAddr place = TRY(space.map({.size = align_up(image.end(), mm::kPageSize) - begin, .no_reserve = true}));
    const u64 bias = place.raw - begin;
    for (const ElfSegment& segment : image.loads())
        TRY(map_segment(space, *executable.interpreter->file, segment, bias));
    return bias;
}

Result<> map_stack(mm::AddressSpace& space, const StackLayout& layout, bool executable) {
    const u64 top = arch::kUserEnd.raw;
    const u64 begin = align_down(layout.stack_pointer, mm::kPageSize) - kInitialStack;
    space.stack_limit = std::max(current_process().limit(abi::kRLIMIT_STACK), top - begin);
    space.layout.stack_start = VirtAddr{layout.stack_pointer};
    space.layout.arguments_start = VirtAddr{layout.arguments};
    space.layout.arguments_end = space.layout.environment_start = VirtAddr{layout.environment};
    space.layout.environment_end = VirtAddr{layout.file_name};
    TRY(space.map({.address = VirtAddr{begin},
                   .size = top - begin,
                   .protection = {.read = true, .write = true, .execute = executable},
                   .fixed = true,
                   .grows_down = true}));
    return {};
}

// ---- from the old program to the new one

// The other threads end; this one takes the process's number. EAGAIN: another thread executes or ends the process (Linux).
Result<> become_only_thread(Thread& self) {
    Process& process = self.process();
    {
        const SignalGuard guard(process.signal_lock);
        if (leaving_locked(self, process)) return fail(Errno::kEAGAIN);
        if (process.threads.size() == 1 && self.number() == process.pid()) return {};
        process.survivor = &self;
        for (Thread& other : process.threads)
            if (&other != &self) notify_locked(process, other);
        process.changed.wake_all();
    }
    process.changed.wait_until("execve", [&] {
        const SignalGuard guard(process.signal_lock);
        return process.threads.size() == 1;
    });
    RefPtr<Thread> leader;
    const TreeGuard guard(g_tree_lock);
    {
        const SignalGuard signals(process.signal_lock);
        process.survivor = nullptr;
        leader = take_ended_leader_locked(process);
    }
    g_pids.remove(self);
    g_pids.add(self, process.pid());
    self.id = process.pid();
    return {};
}

// Set-user-ID and set-group-ID bits (execve(2)); true: the program runs with other rights than its caller (AT_SECURE).
bool take_credentials(Process& process, const Executable& executable) {
    const fs::Inode& inode = *executable.file->dentry->inode;
    fs::Credentials credentials = process.credentials;
    // relaxed: a remount decides about what is executed after it.
    const bool allowed = !executable.script && !process.no_new_privileges &&
                         (inode.file_system.flags.load(std::memory_order_relaxed) & abi::kMS_NOSUID) == 0;
    if (allowed && (inode.mode & abi::kS_ISUID) != 0) credentials.euid = inode.uid;
    if (allowed && (inode.mode & abi::kS_ISGID) != 0 && (inode.mode & 010) != 0) credentials.egid = inode.gid;
    if (!process.no_new_privileges) credentials.powerless = false;  // who is root has them all again
    credentials.suid = credentials.euid;
    credentials.sgid = credentials.egid;
    const bool secure = credentials.uid != credentials.euid || credentials.gid != credentials.egid;
    const TreeGuard guard(g_tree_lock);
    if (secure) process.parent_death_signal = 0;
    set_credentials_locked(process, credentials);
    return secure;
}

void reset_thread(Thread& self, std::string_view path) {
    path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
    std::memset(self.name, 0, sizeof(self.name));
    std::memcpy(self.name, path.data(), std::min(path.size(), sizeof(self.name) - 1));
    self.alternate_stack = {};
    self.restart = {};
    {
        const core::PreemptGuard guard;  // a switch in between would save the old registers
        arch::fpu_init(self.fpu);
        arch::fpu_restore(self.fpu);
    }
    const core::IrqGuard guard;
    self.user_state = {};
    arch::load_user_state(self.user_state);
}

// What was shared by clone(2) is shared no more: no other process may close the descriptors of the new program, which may be
// a set-user-ID one, or move its root. (Linux goes on sharing root and working directory, but ignores set-id bits then.)
struct OwnCopies {
    RefPtr<fs::FdTable> files;  // null: not shared
    RefPtr<FsContext> fs;       // as above
};
Result<OwnCopies> copy_shared(Process& process) {
    OwnCopies own;
    if (process.files->reference_count() != 1) own.files = TRY(process.files->copy());
    if (process.fs->reference_count() != 1) own.fs = TRY(process.fs->copy());
    return own;
}

// The old program is gone when this returns.
void commit(Thread& self, const Executable& executable, RefPtr<mm::AddressSpace> space, OwnCopies own) {
    Process& process = self.process();
    leave_program(self, false);
    delete_timers(process);
    RefPtr<ProgramFile> file = executable.file;
    sched::switch_user_space(space.get());
    bool borrowed;
    {
        const TreeGuard guard(g_tree_lock);
        std::swap(process.space, space);
        std::swap(process.executable, file);
        if (own.files) std::swap(process.files, own.files);
        if (own.fs) std::swap(process.fs, own.fs);
        process.executed = true;
        borrowed = return_memory_locked(process);
        process.exit_signal = abi::kSIGCHLD;
    }
    if (space && !borrowed) account_space(process, *space);
    space = nullptr;
    process.files->close_on_exec();
    reset_handlers(process);
}

// What lies beside the executable.
struct Companions {
    u64 interpreter_bias;
    VirtAddr vdso;
};

Result<> start_program(Thread& self, const Executable& executable, Companions others, const StackLayout& layout,
                       const Program& program, bool secure) {
    const arch::ElfPlatform platform = arch::elf_platform();
    const ElfImage& image = executable.image;
    const fs::Credentials& who = self.process().credentials;
    const abi::AuxEntry auxiliary[] = {
        {abi::kAT_HWCAP, platform.hwcap},
        {abi::kAT_PAGESZ, mm::kPageSize},
        {abi::kAT_CLKTCK, 100},
        {abi::kAT_PHDR, image.header_address + executable.bias},
        {abi::kAT_PHENT, sizeof(abi::Elf64ProgramHeader)},
        {abi::kAT_PHNUM, image.header_count},
        {abi::kAT_BASE, others.interpreter_bias},
        {abi::kAT_FLAGS, 0},
        {abi::kAT_ENTRY, image.entry + executable.bias},
        {abi::kAT_UID, who.uid},
        {abi::kAT_EUID, who.euid},
        {abi::kAT_GID, who.gid},
        {abi::kAT_EGID, who.egid},
        {abi::kAT_SECURE, secure},
        {abi::kAT_RANDOM, layout.random},
        {abi::kAT_HWCAP2, platform.hwcap2},
        {abi::kAT_EXECFN, layout.file_name},
        {abi::kAT_SYSINFO_EHDR, others.vdso.raw},
        {abi::kAT_PLATFORM, layout.platform},
        {abi::kAT_MINSIGSTKSZ, platform.min_signal_stack},
        {abi::kAT_NULL, 0},
    };
    static_assert(std::size(auxiliary) == kAuxEntries);
    u8 random[16];
    arch::hardware_random(random, sizeof(random));
    const StackWriter to_user = [](u64 address, std::span<const u8> bytes) {
        return mm::copy_to_user(address, bytes.data(), bytes.size());
    };
    TRY(write_stack(to_user, layout, program, platform.name, random, auxiliary));
    const u64 entry = executable.interpreter ? executable.interpreter->image.entry + others.interpreter_bias
                                             : image.entry + executable.bias;
    arch::init_user_frame(self.frame(), VirtAddr{entry}, VirtAddr{layout.stack_pointer});
    return {};
}

}  // namespace

u64 argument_limit() {
    constexpr u64 kMost = u64{2} << 20, kLeast = u64{128} << 10;  // as Linux: a quarter of the stack, within bounds
    return std::clamp(current_process().limit(abi::kRLIMIT_STACK) / 4, kLeast, kMost);
}

Result<> exec(const fs::WalkStart& start, Program& program) {
    Thread& self = current_thread();
    Process& process = self.process();
    if (program.arguments.count() == 0)
        TRY(program.arguments.append(""));  // Linux, since 5.18: programs count on argv[0]
    const std::unique_ptr<Executable> found = TRY(find_executable(start, program.path, program.arguments));
    const Executable& executable = *found;
    const RefPtr<mm::AddressSpace> space = TRY(map_executable(executable));
    const StackLayout layout = plan_stack(arch::kUserEnd.raw, program, arch::elf_platform().name, kAuxEntries);
    TRY(map_stack(*space, layout, executable.image.executable_stack));
    const Companions others{TRY(map_interpreter(*space, executable)), TRY(map_vdso(*space))};
    OwnCopies own = TRY(copy_shared(process));
    TRY(become_only_thread(self));

    commit(self, executable, space, std::move(own));
    const bool secure = take_credentials(process, executable);
    process.dumpable = !secure;
    reset_thread(self, program.path);
    auto started = start_program(self, executable, others, layout, program, secure);
    if (!started) begin_exit(process, abi::kSIGSEGV);
    return started;
}

}  // namespace hd::task
