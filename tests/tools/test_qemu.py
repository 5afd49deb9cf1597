# SPDX-License-Identifier: MIT
"""The QEMU driver, against the smallest guest that keeps its agreement (guest.S)."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.tools import ROOT

import qemu
import screenshot

FOLDER = os.path.dirname(os.path.abspath(__file__))


class DriverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.elf = os.path.join(cls.folder, "guest.elf")
        subprocess.run(["x86_64-linux-gnu-gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none",
                        "-Wl,-Ttext-segment=0x100000", "-Wl,-e,start", os.path.join(FOLDER, "guest.S"),
                        "-o", cls.elf], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def boot(self, cmdline, **options):
        machine = qemu.Machine(elf=self.elf, initramfs=None, memory="64M", cmdline=cmdline)
        return qemu.run_command(machine, "true", **{"limit": 20, **options})

    def test_exit_status_and_output(self):
        pieces = []
        outcome = self.boot("s", on_output=pieces.append)
        self.assertEqual(outcome.status, 7)
        self.assertEqual(outcome.output, b"out\r\n")  # without what firmware printed before
        self.assertEqual(b"".join(pieces), outcome.output)

    def test_panic_code(self):
        outcome = self.boot("p")
        self.assertEqual(outcome.status, qemu.STATUS_PANIC)
        self.assertIn(b"panic: for the test", outcome.log_tail())

    def test_end_without_status(self):
        self.assertEqual(self.boot("l").status, qemu.STATUS_LOST)

    def test_timeout(self):
        outcome = self.boot("h", limit=1)
        self.assertTrue(outcome.timed_out)
        self.assertEqual(outcome.status, qemu.STATUS_TIMEOUT)

    def test_input_reaches_the_console_and_ends(self):
        with tempfile.TemporaryFile() as source:
            source.write(b"one\ntwo\n")
            source.seek(0)
            outcome = self.boot("e", stdin=source.fileno())
        self.assertEqual((outcome.status, outcome.output), (7, b"out\r\none\ntwo\n"))

    def test_program_prints_the_output_alone(self):
        result = subprocess.run(
            [sys.executable, os.path.join(ROOT, "tools", "qemu.py"), "--elf", self.elf, "--initramfs", os.devnull,
             "--memory", "64M"], env={**os.environ, "HEDDLE_RUN": "true", "HEDDLE_CMDLINE": "s"},
            capture_output=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (7, b"out\r\n", b""))


class PartsTest(unittest.TestCase):
    def test_wishes_that_cannot_be_had(self):
        for wish in ({"firmware": "uefi"}, {"icount": True, "smp": 2}, {"boot": "floppy"}, {"elf": "/nowhere"}):
            with self.assertRaises(qemu.DriverError):
                qemu.Machine(**{"elf": __file__, **wish}).check()

    def test_grub_config(self):
        template = "multiboot2 /k @CMDLINE@\nmodule2 /i\n"
        self.assertEqual(qemu.grub_config(template, "a=$b it's", True),
                         "multiboot2 /k 'a=$b' 'it'\\''s'\nmodule2 /i\n")
        self.assertEqual(qemu.grub_config(template, "", False), "multiboot2 /k\n")

    def test_keys_of_characters(self):
        self.assertEqual([screenshot.keys_for(character) for character in "aB| "],
                         [["a"], ["shift", "b"], ["shift", "backslash"], ["spc"]])

    def test_status_is_the_last_line_of_its_kind(self):
        log = b"heddle: exit status 3\n[1] heddle: exit status 4\nmore\n"
        self.assertEqual(qemu.STATUS_LINE.findall(log)[-1], b"4")


if __name__ == "__main__":
    unittest.main()
