# SPDX-License-Identifier: MIT
"""The shell on the serial console, as one who types there sees it."""
import os
import subprocess
import tempfile

import qemu

from tests.system import ROOT, SystemTest

PROMPT = b"# "
# Of an operation: what this kernel promises to stay below.
MOST_INSTRUCTIONS = {
    "getppid": 100, "clock_gettime": 100, "fork_exit_wait": 40000, "page_fault_anon": 1300, "page_fault_anon_rd": 800,
    "futex_pp_thread": 2500, "pipe_pp_proc": 3500, "sem_pp_proc": 3000, "sem_updown": 600, "thread_create_join": 20000,
    "epoll_wait_100": 450, "socketpair_pp_proc": 6000}


class ConsoleTest(SystemTest):
    def setUp(self):
        self.guest = qemu.Guest(qemu.Machine(smp=2), extra_files={"/run/winsize": b"24 80\n"}).__enter__()
        self.addCleanup(self.guest.__exit__)
        self.guest.read_until(PROMPT)

    def type(self, text, expected, prompt=True):
        """Type a line; what appears up to the end of `expected` (and then up to the prompt)."""
        self.guest.send(text)
        shown = self.guest.read_until(expected)
        if prompt:
            shown += self.guest.read_until(PROMPT)
        return shown

    def test_echo_and_editing(self):
        shown = self.type(b"echo a''b\n", b"\r\nab\r\n")
        self.assertIn(b"echo a''b", shown)  # echoed as typed, with CR LF at line ends
        self.type(b"echo abX\x7fc\n", b"\r\nabc\r\n")
        self.type(b"echo one two\x17three\n", b"\r\none three\r\n")  # ^W takes a word off
        self.type(b"echo gone\x15echo here\n", b"\r\nhere\r\n")      # ^U takes the line off

    def test_line_discipline_of_a_reading_program(self):
        self.guest.send(b"cat >/tmp/f; echo END$?\n")
        self.guest.read_until(b"\r\n")
        self.guest.pump(0.5)  # until cat reads: the shell's editor has the terminal raw
        self.guest.send(b"on\x7fne\nthrown away\x15kept\n")
        self.guest.read_until(b"kept")
        self.guest.send(b"\x04")
        self.guest.read_until(b"END0\r\n")
        self.guest.read_until(PROMPT)
        self.type(b"cat /tmp/f; echo END$?\n", b"one\r\nkept\r\nEND0")

    def test_interrupt_and_quit(self):
        self.guest.send(b"sleep 1000\n")
        self.guest.read_until(b"sleep 1000\r\n")
        self.guest.pump(0.5)
        self.type(b"\x03", b"^C")
        self.type(b"echo st$?\n", b"st130\r\n")
        self.guest.send(b"sleep 1000\n")
        self.guest.read_until(b"sleep 1000\r\n")
        self.guest.pump(0.5)
        self.type(b"\x1c", b"^\\")
        self.type(b"echo st$?\n", b"st131\r\n")

    def test_stop_and_continue(self):
        self.guest.send(b"sleep 1000\n")
        self.guest.read_until(b"sleep 1000\r\n")
        self.guest.pump(0.5)
        self.type(b"\x1a", b"Stopped")
        self.type(b"jobs\n", b"[1]+  Stopped")
        self.type(b"bg\n", b"sleep 1000")
        self.type(b"jobs\n", b"[1]+  Running")
        self.guest.send(b"fg\n")
        self.guest.read_until(b"sleep 1000\r\n")
        self.guest.pump(0.5)
        self.type(b"\x03", b"^C")
        self.type(b"jobs; echo none\n", b"\r\nnone\r\n")

    def test_interrupt_ends_a_whole_pipeline(self):
        self.guest.send(b"yes | sed s/y/n/ | cat >/dev/null\n")
        self.guest.read_until(b"/dev/null\r\n")
        self.guest.pump(0.5)
        self.type(b"\x03", b"^C")
        self.type(b"ps | grep -c '[y]es'\n", b"\r\n0\r\n")

    def test_background_reader_stops(self):
        self.guest.send(b"cat &\n")
        self.guest.pump(0.5)
        self.guest.send(b"\n")
        self.type(b"jobs\n", b"Stopped (tty input)")
        self.type(b"kill %1; fg; echo done\n", b"done\r\n")

    def test_window_size(self):
        self.type(b"stty size\n", b"\r\n24 80\r\n")
        self.type(b"stty rows 30 cols 100; stty size\n", b"\r\n30 100\r\n")

    def test_end_of_input_ends_the_shell_and_init_starts_another(self):
        self.type(b"x=here; echo $x\n", b"\r\nhere\r\n")
        self.type(b"\x04", b"# ", prompt=False)
        self.type(b"echo [$x]\n", b"\r\n[]\r\n")

    def test_vi(self):
        """Write a file, change it, write it again; the screen shows it.

        Typed text comes in pieces as the line brings it, and so does its echo; ^L draws whole lines.
        """
        guest = self.guest
        guest.send(b"vi /tmp/poem\n")
        guest.read_until(b"/tmp/poem")
        for keys, shown in ((b"i", None), (b"first line\rsecond line\rthird line", None), (b"\x1b", None),
                            (b"\x0c", b"third line"),
                            (b"1G", None), (b"dd", None), (b"p", None), (b"1G", None), (b"cw", None),
                            (b"another", None), (b"\x1b", None), (b"\x0c", b"another"), (b"G", None), (b"x", None),
                            (b":%s/line/row/\r", b"row"), (b":wq\r", b"# ")):
            guest.send(keys)
            if shown:
                guest.read_until(shown)
            guest.pump(0.3)
        self.type(b"\ncat /tmp/poem\n", b"another row\r\nfirst row\r\nhird row\r\n")

    def test_a_terminal_in_raw_mode(self):
        self.type(b"stty -icanon -echo min 1; dd bs=1 count=3 2>/dev/null | od -An -c; stty sane; echo back\n",
                  b"echo back", prompt=False)
        self.guest.pump(0.5)
        self.guest.send(b"\x04a\r")
        self.guest.read_until(b"004   a  \\n")
        self.guest.read_until(PROMPT)


class MakeTest(SystemTest):
    """The commands of the README."""

    def make(self, *arguments, stdin=None):
        """Run `make -s run` with these arguments; inherits no jobserver."""
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        return subprocess.run(["make", "-s", "run", *arguments], cwd=ROOT, capture_output=True, env=environment,
                              input=stdin if stdin is not None else b"", check=False)

    def test_output_alone_and_exit_status(self):
        result = self.make("RUN=echo out; echo \"$HOME\" '$x' `echo b`; exit 5", "SMP=2", "BOOT=direct")
        self.assertEqual((result.returncode, result.stdout), (5, b"out\n/root $x b\n"), result.stderr.decode())

    def test_output_alone_by_grub_and_uefi(self):
        result = self.make("RUN=nproc", "SMP=2", "BOOT=grub", "FIRMWARE=uefi")
        self.assertEqual((result.returncode, result.stdout), (0, b"2\n"), result.stderr.decode())

    def test_bytes_pass_unchanged(self):
        result = self.make(r"RUN=printf '\000\001\r\n\t\377\033[0m'; head -c 100000 /dev/zero | tr '\0' x",
                           "BOOT=direct")
        self.assertEqual(result.stdout, b"\0\1\r\n\t\xff\x1b[0m" + b"x" * 100000)

    def test_input(self):
        text = b"".join(b"line %d\n" % number for number in range(3000))
        result = self.make("RUN=md5sum", "BOOT=direct", stdin=text)
        expected = subprocess.run(["md5sum"], input=text, capture_output=True, check=True).stdout
        self.assertEqual(result.stdout, expected)

    def test_overlay(self):
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "opt"))
            with open(os.path.join(folder, "opt", "mine"), "w", encoding="ascii") as file:
                file.write("#!/bin/sh\necho mine \"$@\"\n")
            os.chmod(os.path.join(folder, "opt", "mine"), 0o755)
            result = self.make("RUN=/opt/mine too; cat /etc/hostname", "OVERLAY=" + folder, "BOOT=direct")
        self.assertEqual(result.stdout, b"mine too\nheddle\n", result.stderr.decode())

    def test_counting_instructions_is_deterministic(self):
        runs = [self.make("RUN=icount", "ICOUNT=1").stdout for _ in range(2)]
        self.assertEqual(runs[0], runs[1])
        counts = {name: int(count) for name, count in (line.split() for line in runs[0].decode().splitlines())}
        self.assertEqual(list(counts), list(MOST_INSTRUCTIONS))
        for name, most in MOST_INSTRUCTIONS.items():
            with self.subTest(name):
                self.assertLess(counts[name], most)

    def test_timeout(self):
        result = self.make("RUN=echo begun; sleep 1000", "TIMEOUT=3", "BOOT=direct")
        self.assertEqual((result.returncode, result.stdout), (124, b"begun\n"))
        self.assertIn(b"sleep", result.stderr)
