// SPDX-License-Identifier: MIT
// System calls of the machine as a whole: names, numbers, log, power, randomness.
#include <algorithm>
#include <cstring>

#include "kernel/core/log.hpp"
#include "kernel/core/uts.hpp"
#include "kernel/fs/procfs/procfs.hpp"
#include "kernel/mm/phys/frame.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::syscall {

namespace {

Result<> set_name(Result<> (*set)(std::string_view), Buffer from, Int size) {
    TRY(check_root());
    if (size < 0 || static_cast<usize>(size) >= abi::Utsname::kFieldSize) return fail(Errno::kEINVAL);
    char text[abi::Utsname::kFieldSize];
    TRY(mm::copy_from_user(text, from.address, static_cast<usize>(size)));
    return set({text, static_cast<usize>(size)});
}

}  // namespace

Answer sys_uname(Out<abi::Utsname> names) { return names.store(core::system_names()); }

Answer sys_sethostname(Buffer name, Int size) { return set_name(core::set_host_name, name, size); }

Answer sys_setdomainname(Buffer name, Int size) { return set_name(core::set_domain_name, name, size); }

Answer sys_sysinfo(Out<abi::Sysinfo> info) {
    const mm::FrameCounts frames = mm::frame_counts();
    abi::Sysinfo result;
    result.uptime = time::now().raw / 1'000'000'000;
    sched::load_averages(result.loads);
    result.totalram = frames.total * mm::kPageSize;
    result.freeram = (frames.free + frames.cached) * mm::kPageSize;
    result.procs = static_cast<u16>(task::thread_count());
    return info.store(result);
}

// The actions that dmesg(1) and syslogd need; the ring is neither cleared nor read destructively (syslog(2)).
Answer sys_syslog(Int action, Buffer buffer, Int size) {
    constexpr usize kMost = usize{64} << 10;
    if (action != abi::kSYSLOG_ACTION_READ_ALL && action != abi::kSYSLOG_ACTION_SIZE_BUFFER) TRY(check_root());
    switch (action) {
    case abi::kSYSLOG_ACTION_READ_ALL: {
        if (size < 0) return fail(Errno::kEINVAL);
        const usize room = std::min(static_cast<usize>(size), kMost);
        if (room == 0) return 0;
        const auto text = TRY(mm::make_array<char>(room));
        const usize length = log::read_tail({text.get(), room});
        TRY(mm::copy_to_user(buffer.address, text.get(), length));
        return length;
    }
    case abi::kSYSLOG_ACTION_CONSOLE_OFF: log::set_console_level(log::Level::Error); return 0;
    case abi::kSYSLOG_ACTION_CONSOLE_ON: log::set_console_level(log::Level::Info); return 0;
    case abi::kSYSLOG_ACTION_CONSOLE_LEVEL:
        if (size < 1 || size > 8) return fail(Errno::kEINVAL);
        log::set_console_level(static_cast<log::Level>(std::max(size - 1, 3)));  // lines below the level are shown
        return 0;
    case abi::kSYSLOG_ACTION_SIZE_UNREAD:
    case abi::kSYSLOG_ACTION_SIZE_BUFFER: return log::size();
    default: return fail(Errno::kEINVAL);
    }
}

Answer sys_reboot(UInt magic1, UInt magic2, UInt command, Address) {
    TRY(check_root());
    const auto& magics = abi::kLinuxRebootMagic2;
    if (magic1 != abi::kLINUX_REBOOT_MAGIC1 || std::ranges::find(magics, magic2) == std::end(magics))
        return fail(Errno::kEINVAL);
    switch (command) {
    case abi::kLINUX_REBOOT_CMD_CAD_ON:
    case abi::kLINUX_REBOOT_CMD_CAD_OFF: return 0;  // there is no Ctrl-Alt-Delete to switch
    case abi::kLINUX_REBOOT_CMD_RESTART: log::info("restarting"); arch::reboot();
    case abi::kLINUX_REBOOT_CMD_HALT:  // an emulated machine that only halts is of no use to anybody
    case abi::kLINUX_REBOOT_CMD_POWER_OFF:
        log::info("heddle: exit status {}", fs::exit_status());  // tools/qemu.py ends with it
        arch::power_off(arch::ExitStatus::Success);
    default: return fail(Errno::kEINVAL);
    }
}

Answer sys_getrandom(Buffer buffer, Size size, Flags flags) {
    if ((flags & ~(abi::kGRND_NONBLOCK | abi::kGRND_RANDOM | abi::kGRND_INSECURE)) != 0 ||
        (flags & (abi::kGRND_RANDOM | abi::kGRND_INSECURE)) == (abi::kGRND_RANDOM | abi::kGRND_INSECURE))
        return fail(Errno::kEINVAL);
    constexpr u64 kMost = (u64{32} << 20) - 1;  // Linux: one call gives no more
    size = std::min(size, kMost);
    u8 chunk[256];
    for (u64 done = 0; done < size; done += sizeof(chunk)) {
        const usize part = std::min<u64>(sizeof(chunk), size - done);
        arch::hardware_random(chunk, part);
        if (!mm::copy_to_user(buffer.address + done, chunk, part))
            return done != 0 ? Result<u64>(done) : fail(Errno::kEFAULT);
        if (task::signal_pending(task::current_thread()) && done + part < size) return done + part;
    }
    return size;
}

}  // namespace hd::syscall
