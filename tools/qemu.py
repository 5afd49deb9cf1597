#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The QEMU driver: what `make run`, `make debug` and the tests boot Heddle with.

As a program it gives a shell on the terminal, or runs one command (--run) and ends with its exit status, the command's
output alone on stdout. As a module: Machine says which computer, Guest is one boot of it, run_command the common case.

The guest's end of the agreement:
  /run/command          the command's text, in a second archive behind the initramfs. init runs it with /bin/sh on the
                        console and prints BEGIN_MARK before (what firmware printed there until then is dropped).
  /run/winsize          "ROWS COLUMNS" of the terminal, for an interactive boot.
  "heddle: exit status N"   the kernel's last line in its log (QEMU's debug console, port 0xe9).
  isa-debug-exit            a panic or a failed boot: QEMU ends with (value << 1) | 1.
  NMI                       the kernel prints the state of every thread to its log.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import mkinitramfs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")

BEGIN_MARK = b"\x1eheddle: run\x1e"
STATUS_LINE = re.compile(rb"heddle: exit status (\d+)[ \t\r]*$", re.MULTILINE)
STATUS_TIMEOUT = 124  # as timeout(1)
STATUS_LOST = 125     # the guest ended without saying a status
STATUS_PANIC = (0x10 << 1) | 1
STATUS_BOOT_FAILURE = (0x11 << 1) | 1
LOG_TAIL_LINES = 60
CALIBRATION_REFERENCE = 0.16  # seconds that the calibration takes on the machine the time limits were chosen on

OVMF = [("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd")]


class DriverError(Exception):
    """What the user asked for cannot be had; the text is for them."""


@dataclasses.dataclass
class Machine:
    """The computer to boot. Paths may be None where the field is not used."""
    elf: str = os.path.join(BUILD, "heddle.elf")
    initramfs: str | None = os.path.join(BUILD, "initramfs.cpio")
    smp: int = 1
    memory: str = "512M"
    cpu: str = "max"
    firmware: str = "bios"
    boot: str = "direct"
    display: str = "none"
    cmdline: str = ""
    icount: bool = False
    reboot: bool = False  # whether a reset starts the machine again instead of ending QEMU

    def check(self):
        if self.firmware not in ("bios", "uefi"):
            raise DriverError("FIRMWARE is bios or uefi, not " + self.firmware)
        if self.boot not in ("grub", "direct"):
            raise DriverError("BOOT is grub or direct, not " + self.boot)
        if self.firmware == "uefi" and self.boot == "direct":
            raise DriverError("FIRMWARE=uefi needs BOOT=grub: QEMU's own loader works with the BIOS only")
        if self.icount and self.smp != 1:
            raise DriverError("ICOUNT=1 counts one CPU: SMP must be 1")
        if not os.path.exists(self.elf):
            raise DriverError("no kernel at %s: make kernel" % self.elf)

    def kernel_cmdline(self, quiet):
        console = "console=ttyS0" if self.display == "none" else "console=tty1"
        return " ".join(filter(None, [console, "quiet" if quiet else "", self.cmdline]))


# ---- What QEMU boots from -------------------------------------------------------------------------------------------

def build_initrd(machine, extra_files, output):
    """The machine's initramfs and behind it a small archive with `extra_files` ({path: bytes}); False if both are
    empty."""
    data = b""
    if machine.initramfs:
        with open(machine.initramfs, "rb") as file:
            data = file.read()
    if extra_files:
        archive = mkinitramfs.Archive()
        for path, content in extra_files.items():
            archive.add_file(path, content, 0o755)
        data += b"\0" * (-len(data) % mkinitramfs.ALIGNMENT) + archive.pack()
    if data:
        with open(output, "wb") as file:
            file.write(data)
    return bool(data)


def grub_config(template, cmdline, has_initrd):
    """boot/grub.cfg with the command line's words quoted for GRUB and without the module line if there is none."""
    words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in cmdline.split())
    lines = [line.replace("@CMDLINE@", words).rstrip() for line in template.split("\n")
             if has_initrd or not line.lstrip().startswith("module2")]
    return "\n".join(lines)


def build_iso(elf, initrd, cmdline, output):
    """An ISO image with GRUB for BIOS and UEFI, the kernel, and the initrd if it is not None."""
    with tempfile.TemporaryDirectory(prefix="heddle-iso-") as tree:
        os.makedirs(os.path.join(tree, "boot", "grub"))
        # Debug information is of no use on the image and slow to load.
        subprocess.run(["x86_64-linux-gnu-objcopy", "--strip-debug", elf, os.path.join(tree, "boot", "heddle.elf")],
                       check=True)
        if initrd:
            shutil.copy(initrd, os.path.join(tree, "boot", "initramfs.cpio"))
        with open(os.path.join(ROOT, "boot", "grub.cfg"), encoding="utf-8") as template:
            config = grub_config(template.read(), cmdline, initrd is not None)
        with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as file:
            file.write(config)
        result = subprocess.run(
            ["grub-mkrescue", "--locales=", "--fonts=", "--themes=", "--install-modules=" + " ".join(
                ("multiboot2", "normal", "iso9660", "configfile", "all_video", "test", "echo", "halt")),
             "-o", output, tree], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise DriverError("grub-mkrescue failed:\n" + result.stderr)


# ---- How long things may take ---------------------------------------------------------------------------------------

def slowness():
    """How many times slower than the reference this machine is, at least 1. Measured once, kept under build/."""
    path = os.path.join(BUILD, "slowness")
    try:
        with open(path, encoding="ascii") as file:
            return max(1.0, float(file.read()))
    except (OSError, ValueError):
        pass
    start = time.perf_counter()
    total = 0
    for number in range(1_500_000):
        total += number ^ (total & 0xFF)
    hashlib.sha256(bytes(1 << 25)).digest()
    factor = max(1.0, (time.perf_counter() - start) / CALIBRATION_REFERENCE)
    with contextlib.suppress(OSError):
        os.makedirs(BUILD, exist_ok=True)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write("%.2f\n" % factor)
        os.replace(path + ".new", path)
    return factor


# ---- One boot -------------------------------------------------------------------------------------------------------

def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


@dataclasses.dataclass
class Outcome:
    """How a boot ended. `status` is what the driver exits with; `output` is what the console showed from BEGIN_MARK
    on, or all of it without a command."""
    status: int
    output: bytes
    log: bytes
    timed_out: bool = False

    def log_tail(self):
        return b"\n".join(self.log.split(b"\n")[-LOG_TAIL_LINES - 1:])


class Guest:
    """One QEMU process. Use as a context manager: leaving it ends QEMU and removes its files.

    With `command` the guest runs that and powers off. Console bytes collect in `console`; `on_output` is called with
    each new piece that belongs to the command's output (or with everything, without a command). Time limits are in
    seconds of the reference machine; pump() and what calls it scale them.
    """

    def __init__(self, machine, command=None, extra_files=None, on_output=None, interactive=False, gdb=False):
        machine.check()
        self.machine = machine
        self.command = command
        self.on_output = on_output
        self.interactive = interactive
        self.gdb = gdb
        self.console = bytearray()
        self.started = command is None  # whether BEGIN_MARK has passed
        self.process = None
        self._to_send = bytearray()
        self._line_open = False  # whether the input's last line has no end yet
        self._extra_files = dict(extra_files or {})
        if command is not None:
            self._extra_files["/run/command"] = command.encode() + b"\n"
        self.folder = tempfile.mkdtemp(prefix="heddle-")
        # Who sits at the machine may want to follow its log.
        self.log_path = os.path.join(BUILD, "kernel.log") if interactive or gdb else self.path("log")

    def path(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- Starting --

    def _boot_arguments(self):
        machine = self.machine
        initrd = self.path("initrd") if build_initrd(machine, self._extra_files, self.path("initrd")) else None
        if machine.boot == "direct":
            arguments = ["-kernel", machine.elf, "-append", machine.kernel_cmdline(self.command is not None)]
            return arguments + (["-initrd", initrd] if initrd else [])
        build_iso(machine.elf, initrd, machine.kernel_cmdline(self.command is not None), self.path("heddle.iso"))
        return ["-cdrom", self.path("heddle.iso"), "-boot", "d"]

    def _firmware_arguments(self):
        if self.machine.firmware == "bios":
            return []
        for code, variables in OVMF:
            if os.path.exists(code):
                shutil.copy(variables, self.path("vars.fd"))
                return ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
                        "-drive", "if=pflash,format=raw,unit=1,file=" + self.path("vars.fd")]
        raise DriverError("no OVMF firmware found: install the package ovmf")

    def arguments(self):
        """QEMU's whole command line. TCG always: the same instructions on every host."""
        machine = self.machine
        result = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-cpu", machine.cpu, "-smp",
                  str(machine.smp), "-m", machine.memory, "-vga", "std", "-display", machine.display,
                  "-chardev", "file,id=log,path=" + self.log_path, "-device", "isa-debugcon,iobase=0xe9,chardev=log",
                  "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
                  "-qmp", "unix:%s,server=on,wait=off" % self.path("qmp")]
        if machine.icount:
            result += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                       "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
        else:
            result += ["-accel", "tcg,thread=multi"]
        if not machine.reboot:
            result += ["-no-reboot"]
        if self.gdb:
            result += ["-S", "-chardev", "socket,id=gdb,server=on,wait=off,path=" + self.path("gdb"),
                       "-gdb", "chardev:gdb"]
            result += ["-chardev", "pty,id=console,logfile=" + os.path.join(BUILD, "console.log"),
                       "-serial", "chardev:console"]
        elif self.interactive:
            result += ["-serial", "mon:stdio"]
        else:
            result += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        return result + self._firmware_arguments() + self._boot_arguments()

    def _start(self):
        arguments = self.arguments()
        pipe = None if self.interactive else subprocess.PIPE
        try:
            # A session of its own keeps the terminal's ^C for the driver; an interactive QEMU needs the terminal.
            self.process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, preexec_fn=_die_with_parent,
                                            start_new_session=not self.interactive)
        except FileNotFoundError as error:
            raise DriverError("no %s: install the packages of tools/packages.txt" % arguments[0]) from error
        if not self.interactive:
            os.set_blocking(self.process.stdin.fileno(), False)
            os.set_blocking(self.process.stdout.fileno(), False)

    # -- Talking --

    def log(self):
        """The kernel's log so far."""
        try:
            with open(self.log_path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def send(self, data):
        """Queue bytes for the guest's console."""
        self._to_send += data

    def pump(self, limit, until=lambda: False, source=None):
        """Move bytes between the guest's console and us until `until()` holds, QEMU ends or `limit` seconds are over
        (None: no limit). `source` is a file descriptor whose bytes the guest gets once the command has begun, and ^D
        at its end. Returns whether until() holds."""
        deadline = None if limit is None else time.monotonic() + limit * slowness()
        output, stdin = self.process.stdout.fileno(), self.process.stdin.fileno()
        while not until():
            wait = 1.0 if deadline is None else min(1.0, deadline - time.monotonic())
            if wait <= 0:
                return False
            takes_input = source is not None and self.started and not self._to_send
            readable, writable, _ = select.select([output, source] if takes_input else [output],
                                                  [stdin] if self._to_send else [], [], wait)
            if output in readable and not self._read_console():
                return until()
            if writable:
                self._write_console()
            if source in readable and not self._take_input(source):
                source = None
        return True

    def _take_input(self, source):
        """Queue what `source` has for the guest; False at its end."""
        data = os.read(source, 4096)
        if data:
            self._line_open = data[-1:] != b"\n"
            self.send(data)
        else:
            self.send(b"\x04\x04" if self._line_open else b"\x04")  # one ^D ends a line begun, the next the file
        return bool(data)

    def _write_console(self):
        try:
            count = os.write(self.process.stdin.fileno(), self._to_send)
        except BlockingIOError:
            return
        except BrokenPipeError:
            count = len(self._to_send)
        del self._to_send[:count]

    def _read_console(self):
        """False at the end of QEMU's output."""
        try:
            data = os.read(self.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return True
        if not data:
            return False
        self.console += data
        if not self.started:
            before, mark, data = bytes(self.console).partition(BEGIN_MARK)
            if not mark:
                return True
            self.started = True
            del self.console[:len(before) + len(mark)]
        if self.on_output and data:
            self.on_output(data)
        return True

    def read_until(self, pattern, limit=30):
        """Wait until the console shows the bytes `pattern`; takes and returns what it showed up to their end. Raises
        TimeoutError, also when QEMU ends first."""
        if not self.pump(limit, lambda: pattern in self.console):
            raise TimeoutError("the console never showed %r; it ends with %r\n%s" % (
                pattern, bytes(self.console[-500:]), self.report()))
        end = self.console.index(pattern) + len(pattern)
        taken = bytes(self.console[:end])
        del self.console[:end]
        return taken

    def qmp(self, *commands):
        """Have QEMU's monitor execute commands (dicts); returns their answers' "return" values."""
        answers = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
            monitor.settimeout(10)
            self._connect(monitor)
            lines = monitor.makefile("rw", encoding="utf-8")
            lines.readline()  # the greeting
            for command in ({"execute": "qmp_capabilities"},) + commands:
                lines.write(json.dumps(command) + "\n")
                lines.flush()
                answer = {}
                while "return" not in answer and "error" not in answer:
                    line = lines.readline()
                    if not line:
                        raise OSError("QEMU's monitor went away")
                    answer = json.loads(line)
                if "error" in answer:
                    raise DriverError("QEMU: " + answer["error"]["desc"])
                answers.append(answer["return"])
        return answers[1:]

    def _connect(self, monitor):
        """QEMU makes its socket some time after its start."""
        for attempt in range(100):
            try:
                return monitor.connect(self.path("qmp"))
            except OSError:
                if attempt == 99 or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    # -- Ending --

    def finish(self, limit=None, source=None):
        """Wait for the guest's end, at most `limit` seconds; then ask for the threads' states and end QEMU."""
        ended = self.pump(limit, lambda: self.process.poll() is not None, source)
        if not ended:  # time is up, or QEMU has closed its output and is about to end
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        timed_out = self.process.poll() is None
        if timed_out:
            self.ask_for_states()
            self.process.kill()
            self.process.wait()
        while self._drain():
            pass
        log = self.log()
        return Outcome(self.exit_status(log, timed_out), bytes(self.console) if self.started else b"", log, timed_out)

    def _drain(self):
        before = len(self.console)
        return self._read_console() and len(self.console) > before

    def exit_status(self, log, timed_out):
        if timed_out:
            return STATUS_TIMEOUT
        stated = STATUS_LINE.findall(log)
        if stated:
            return int(stated[-1]) & 0xFF
        if self.process.returncode > 0 and self.process.returncode & 1 and self.process.returncode != 1:
            return self.process.returncode
        return STATUS_LOST if self.command is not None or self.process.returncode else 0

    def ask_for_states(self):
        """Send an NMI: the kernel prints every thread's state to its log. Waits until the log is quiet."""
        with contextlib.suppress(OSError, DriverError):
            self.qmp({"execute": "inject-nmi"})
        length, quiet = -1, 0
        for _ in range(50):
            if self.process.poll() is not None or quiet == 5:
                break
            time.sleep(0.1 * slowness())
            quiet = quiet + 1 if len(self.log()) == length else 0
            length = len(self.log())

    def report(self):
        """For a failed test: the end of the kernel's log, with the threads' states if the guest still runs."""
        if self.process.poll() is None:
            self.ask_for_states()
        return "kernel log:\n" + Outcome(0, b"", self.log()).log_tail().decode(errors="replace")


def run_command(machine, command, limit=60, stdin=None, on_output=None, extra_files=None):
    """Boot, run `command` with /bin/sh and power off. `stdin`: a file descriptor for the guest's console."""
    with Guest(machine, command, extra_files, on_output) as guest:
        return guest.finish(limit, stdin)


# ---- As a program ---------------------------------------------------------------------------------------------------

def keep_log(log):
    """build/kernel.log is the last boot's."""
    with contextlib.suppress(OSError):
        with open(os.path.join(BUILD, "kernel.log"), "wb") as file:
            file.write(log)


def main_run(machine, command, limit):
    def show(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    # A terminal is for the user; only a file or a pipe is the guest's input.
    stdin = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.fileno()
    outcome = run_command(machine, command, limit, stdin, show)
    keep_log(outcome.log)
    if outcome.timed_out:
        print("heddle: no end after %g s (TIMEOUT); the kernel's log ends:" % (limit * slowness()), file=sys.stderr)
    elif not STATUS_LINE.search(outcome.log):
        print("heddle: the guest ended without an exit status; the kernel's log ends:", file=sys.stderr)
    else:
        return outcome.status
    sys.stderr.buffer.write(outcome.log_tail().rstrip() + b"\n")
    return outcome.status


def main_interactive(machine, limit):
    extra_files = {}
    if sys.stdout.isatty():
        size = os.get_terminal_size(sys.stdout.fileno())
        extra_files["/run/winsize"] = b"%d %d\n" % (size.lines, size.columns)
        print("heddle: Ctrl-A x ends QEMU, Ctrl-A h lists its other keys; the kernel's log goes to build/kernel.log")
        sys.stdout.flush()
    with Guest(machine, extra_files=extra_files, interactive=True) as guest:
        try:
            guest.process.wait(None if limit is None else limit * slowness())
            timed_out = False
        except subprocess.TimeoutExpired:
            guest.ask_for_states()
            timed_out = True
        log = guest.log()
        status = guest.exit_status(log, timed_out)
    if status:
        sys.stderr.buffer.write(b"heddle: the kernel's log ends:\n" + Outcome(0, b"", log).log_tail().rstrip() + b"\n")
    return status


def main_debug(machine, command):
    with Guest(machine, command, gdb=True) as guest:
        chardevs = guest.qmp({"execute": "query-chardev"})[0]
        terminal = next(chardev["filename"] for chardev in chardevs if chardev["label"] == "console")
        print("heddle: the guest's console is %s (try: screen %s); build/console.log keeps what it shows" %
              (terminal.removeprefix("pty:"), terminal.removeprefix("pty:")))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is gdb's
        gdb = ["gdb", "-q", machine.elf, "-x", os.path.join(ROOT, "tools", "gdb", "heddle.py"),
               "-ex", "target remote " + guest.path("gdb")]
        return subprocess.run(gdb, check=False).returncode


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--elf", default=Machine.elf)
    parser.add_argument("--initramfs", default=Machine.initramfs)
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--memory", default=Machine.memory)
    parser.add_argument("--cpu", default=Machine.cpu)
    parser.add_argument("--firmware", default=Machine.firmware)
    parser.add_argument("--boot", default=Machine.boot)
    parser.add_argument("--display", default=Machine.display)
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--timeout", type=float, help="seconds of the reference machine")
    parser.add_argument("--debug", action="store_true", help="stop before the first instruction and attach gdb")
    parser.add_argument("--iso", metavar="FILE", help="write a bootable ISO image and do nothing else")
    parser.add_argument("--print", action="store_true", help="print QEMU's command line and do nothing else")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    # Free texts come by the environment, which needs no quoting on the way through make.
    command = os.environ.get("HEDDLE_RUN") or None
    machine = Machine(arguments.elf, arguments.initramfs, arguments.smp, arguments.memory, arguments.cpu,
                      arguments.firmware, arguments.boot, arguments.display, os.environ.get("HEDDLE_CMDLINE", ""),
                      arguments.icount)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    try:
        if arguments.iso:
            build_iso(machine.elf, machine.initramfs, machine.kernel_cmdline(False), arguments.iso)
            return 0
        if arguments.debug:
            return main_debug(machine, command)
        if command is not None:
            return main_run(machine, command, arguments.timeout or 120)
        machine.reboot = True
        return main_interactive(machine, arguments.timeout)
    except DriverError as error:
        print("heddle: %s" % error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
