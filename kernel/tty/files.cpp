// SPDX-License-Identifier: MIT
// The terminals' device files, and the worker thread.
#include <algorithm>
#include <array>
#include <tuple>

#include "kernel/fs/vfs/file.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/process.hpp"
#include "kernel/tty/terminal.hpp"

namespace hd::tty {

namespace {

constexpr u32 kOwnMajor = 5, kTtyMinor = 0, kConsoleMinor = 1;
constexpr u64 kTtyDevice = abi::makedev(kOwnMajor, kTtyMinor), kConsoleDevice = abi::makedev(kOwnMajor, kConsoleMinor);

// Written at boot, before anything can be opened and before the worker runs.
constinit std::array<Terminal*, 4> g_terminals = {};
constinit Terminal* g_console = nullptr;

class TerminalFile final : public fs::File {
public:
    TerminalFile(fs::InodeRef of, fs::DentryRef opened_as, u32 open_flags, Terminal& terminal, bool is_console)
        : File(std::move(of), std::move(opened_as), open_flags),
          terminal_(terminal),
          is_console_(is_console),
          hangups_(terminal.hangups()) {}

    Result<u64> read_at(fs::IoBuffer& buffer, u64) override {
        if (terminal_.hung_up(access())) return 0;
        TRY(terminal_.check(abi::kSIGTTIN, access()));
        return terminal_.read(buffer, access());
    }
    Result<u64> write_at(fs::IoBuffer& buffer, u64, bool) override {
        if ((terminal_.termios().c_lflag & abi::kTOSTOP) != 0) TRY(terminal_.check(abi::kSIGTTOU, access()));
        return terminal_.write(buffer, access());
    }
    bool seekable() const override { return false; }
    Result<u64> ioctl(u32 request, u64 argument) override {
        if (terminal_.hung_up(access())) return fail(request == abi::kTIOCSPGRP ? Errno::kENOTTY : Errno::kEIO);
        return terminal_.ioctl(request, argument, access());
    }
    u32 poll(fs::PollTable* table) override {
        if (table != nullptr) {
            table->add(terminal_.readers());
            table->add(terminal_.writers());
        }
        const u32 ready =
            (terminal_.may_read(access()) ? abi::kPOLLIN : 0) | (terminal_.may_write(access()) ? abi::kPOLLOUT : 0);
        return terminal_.hung_up(access()) ? ready | abi::kPOLLERR | abi::kPOLLHUP : ready;
    }

private:
    Access access() const { return {nonblocking(), is_console_, hangups_}; }

    Terminal& terminal_;
    const bool is_console_;
    const u32 hangups_;
};

Result<Terminal*> find_terminal(u64 device) {
    if (device == kConsoleDevice && g_console != nullptr) return g_console;
    if (device == kTtyDevice) {
        // Every controlling terminal is a Terminal; and as those live for ever, the reference is not needed.
        if (const auto own = task::terminal_of(task::current_process())) return static_cast<Terminal*>(own.get());
    }
    const auto has_number = [&](const Terminal* t) { return t != nullptr && t->device_number() == device; };
    const auto found = std::ranges::find_if(g_terminals, has_number);
    if (found == g_terminals.end()) return fail(Errno::kENXIO);
    return *found;
}

// A session leader without a terminal gets the one that it opens for reading (Linux), except the console.
Result<fs::FileRef> open_terminal(fs::InodeRef inode, fs::DentryRef dentry, u32 flags) {
    const u64 device = inode->device;
    Terminal& terminal = *TRY(find_terminal(device));
    auto file =
        TRY(mm::make_ref<TerminalFile>(std::move(inode), std::move(dentry), flags, terminal, device == kConsoleDevice));
    const bool wanted = (flags & abi::kO_NOCTTY) == 0 && device != kConsoleDevice && device != kTtyDevice;
    // Opening succeeds whether it may have it or not.
    if (wanted && file->readable()) std::ignore = terminal.become_controlling(false);
    return file;
}

bool has_work(const Terminal* terminal) { return terminal != nullptr && terminal->has_work(); }

void run_worker(void*) {
    for (;;) {
        g_worker.wait_until(
            "tty input", [] { return std::ranges::any_of(g_terminals, has_work); }, sched::SleepKind::Interruptible);
        for (Terminal* terminal : g_terminals)
            if (has_work(terminal)) terminal->work();
    }
}

}  // namespace

void register_terminal(Terminal& terminal) {
    const auto slot = std::ranges::find(g_terminals, nullptr);
    ASSERT(slot != g_terminals.end(), "more terminals than slots");
    *slot = &terminal;
    fs::register_character_device({terminal.name, abi::makedev(terminal.major, terminal.minor), 0620, open_terminal});
}

void register_console(Terminal& terminal) {
    g_console = &terminal;
    fs::register_character_device({"console", kConsoleDevice, 0600, open_terminal});
    fs::register_character_device({"tty", kTtyDevice, 0666, open_terminal});
}

void init() {
    if (!sched::spawn_kernel_thread("ttyd", run_worker, nullptr, CpuMask::all()))
        core::boot_failure("there is no memory for the terminals' thread");
}

}  // namespace hd::tty
