# SPDX-License-Identifier: MIT
"""System tests: whole boots through tools/qemu.py.

boot() runs a command in a machine and checks that the boot went well; a failure shows the kernel's log. The oracle runs
the same command with the same root file system on the host's Linux, in a chroot on a terminal of its own.
"""

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import mkinitramfs  # noqa: E402
import qemu  # noqa: E402

INITRAMFS = qemu.Machine.initramfs
ENVIRONMENT = {"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/root", "TERM": "linux"}  # init's


class SystemTest(unittest.TestCase):
    maxDiff = None

    def boot(self, command, limit=60, status=0, **options):
        """Run `command` in a machine made of `options`; returns the Outcome, whose status must be `status`."""
        extra_files = options.pop("extra_files", None)
        stdin = options.pop("stdin", None)
        outcome = qemu.run_command(qemu.Machine(**options), command, limit, stdin=stdin, extra_files=extra_files)
        if outcome.status != status:
            self.fail("exit status %d instead of %d%s\noutput:\n%s\nkernel log:\n%s" % (
                outcome.status, status, " (time is up)" if outcome.timed_out else "",
                outcome.output.decode(errors="replace")[-3000:], outcome.log_tail().decode(errors="replace")))
        return outcome

    def assert_same_text(self, found, expected):
        """Compare bytes; a difference is shown as text."""
        self.assertEqual(found.decode(errors="backslashreplace"), expected.decode(errors="backslashreplace"))


def raw_output(descriptor):
    """Set a terminal as init sets the console for a command: bytes pass unchanged, no echo."""
    settings = termios.tcgetattr(descriptor)
    settings[1] &= ~termios.OPOST
    settings[3] &= ~(termios.ECHO | termios.ECHONL)
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


class Oracle:
    """The initramfs's tree under the host's Linux: `run` a command in it. A context manager; needs root or user
    namespaces."""

    def __init__(self, extra_files=None):
        self.tree = tempfile.mkdtemp(prefix="heddle-oracle-")
        self.extra_files = extra_files or {}

    def __enter__(self):
        with open(INITRAMFS, "rb") as packed:
            subprocess.run(["busybox", "cpio", "-idm"], stdin=packed, cwd=self.tree, check=True, capture_output=True)
        archive = mkinitramfs.Archive()
        for path, content in self.extra_files.items():
            archive.add_file(path, content, 0o755)
        archive.lay_out(self.tree)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.tree, ignore_errors=True)

    def command_line(self, command):
        """Namespaces of its own for mounts and processes; /tmp is a tmpfs as inside. The trailing exit keeps the
        command's shell from being process 1, which signals do not end."""
        setup = ("mount --rbind /dev '{0}/dev' && mount -t proc proc '{0}/proc' && mount -t tmpfs tmpfs '{0}/tmp' && "
                 "chroot '{0}' /bin/sh -c \"$1\"; exit $?").format(self.tree)
        return (["/usr/bin/unshare"] + ([] if os.geteuid() == 0 else ["-r"]) +
                ["--mount", "--pid", "--fork", "/bin/sh", "-c", setup, "sh", command])

    def run(self, command, limit=60):
        """(output, exit status) of the command on a terminal like the guest's console. Raises TimeoutError."""
        master, slave = pty.openpty()
        raw_output(slave)

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 1)
            # Who was started in the background ignores them, and a shell cannot trap what it finds ignored.
            for signo in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(signo, signal.SIG_DFL)

        process = subprocess.Popen(self.command_line(command), stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True, preexec_fn=take_terminal,
                                   env=ENVIRONMENT)
        os.close(slave)
        output = bytearray()
        os.set_blocking(master, False)
        deadline = time.monotonic() + limit * qemu.slowness()
        while True:
            ended = process.poll() is not None
            try:
                output += os.read(master, 65536)
                continue
            except BlockingIOError:
                pass
            except OSError:  # the other side is closed
                process.wait()
                ended = True
            if ended:
                break
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                os.close(master)
                raise TimeoutError("the oracle never ended: " + command)
            time.sleep(0.01)
        os.close(master)
        return bytes(output), process.returncode
