# SPDX-License-Identifier: MIT
"""Heddle boots on every CPU, by every way of booting, and says so when it cannot."""
import os
import re
import tempfile

import qemu

from tests.system import INITRAMFS, SystemTest

# Runs on each CPU by itself, then on all at once.
EVERY_CPU = """
n=$(nproc); echo "cpus $n"
i=0; while [ $i -lt $n ]; do taskset -c $i sh -c 'taskset -p $$' | sed 's/^pid [0-9]*/pid/'; i=$((i + 1)); done
i=0; while [ $i -lt $((n * 3)) ]; do (seq 1 2000 | md5sum >/tmp/$i) & i=$((i + 1)); done; wait
cat /tmp/[0-9]* | sort -u | wc -l
grep -c '^processor' /proc/cpuinfo
exit 3
"""


class MatrixTest(SystemTest):
    """Not the full product: every CPU count, firmware and loader, and the pairs that share code."""

    def boots(self, smp, **options):
        outcome = self.boot(EVERY_CPU, limit=60 + 4 * smp, status=3, smp=smp, **options)
        lines = outcome.output.decode().split("\n")
        masks = ["pid's current affinity mask: %x" % (1 << cpu) for cpu in range(smp)]
        self.assertEqual(lines, ["cpus %d" % smp] + masks + ["1", str(smp), ""])

    def test_1_direct(self):
        self.boots(1)

    def test_2_direct(self):
        self.boots(2)

    def test_4_direct(self):
        self.boots(4)

    def test_16_direct(self):
        self.boots(16)

    def test_64_direct(self):
        self.boots(64, memory="1G")

    def test_1_bios_grub(self):
        self.boots(1, boot="grub")

    def test_4_bios_grub(self):
        self.boots(4, boot="grub")

    def test_16_bios_grub(self):
        self.boots(16, boot="grub")

    def test_1_uefi_grub(self):
        self.boots(1, boot="grub", firmware="uefi")

    def test_2_uefi_grub(self):
        self.boots(2, boot="grub", firmware="uefi")

    def test_16_uefi_grub(self):
        self.boots(16, boot="grub", firmware="uefi")

    def test_little_and_much_memory(self):
        for memory, least in (("64M", 40_000), ("6G", 5_500_000)):
            with self.subTest(memory=memory):
                total = self.boot("awk '/MemTotal/ {print $2}' /proc/meminfo", memory=memory).output
                self.assertGreater(int(total), least)

    def test_plain_cpu_models(self):
        for cpu in ("qemu64", "Nehalem", "EPYC"):
            with self.subTest(cpu=cpu):
                self.assert_same_text(self.boot("echo up", cpu=cpu, smp=2).output, b"up\n")

    def test_command_line_arrives(self):
        for boot in ("direct", "grub"):
            with self.subTest(boot=boot):
                output = self.boot("cat /proc/cmdline", boot=boot, cmdline="one two=$x 'three'").output
                self.assertIn(b"one two=$x 'three'", output)


class FailureTest(SystemTest):
    """A boot that cannot succeed ends with one clear sentence and its own exit code."""

    def fails(self, *words, **options):
        """The sentence stands in the log and on the console, and the exit code says "boot failure"."""
        with qemu.Guest(qemu.Machine(**options), extra_files=None) as guest:
            outcome = guest.finish(60)
        self.assertEqual(outcome.status, qemu.STATUS_BOOT_FAILURE, outcome.log_tail().decode(errors="replace"))
        for text in (outcome.log, outcome.output):
            sentences = [line for line in text.decode(errors="replace").split("\n") if "Heddle cannot start:" in line]
            self.assertEqual(len(sentences), 1, text.decode(errors="replace"))
            for word in words:
                self.assertIn(word, sentences[0].lower())

    def test_no_initramfs(self):
        self.fails("initramfs", initramfs=None)

    def test_no_initramfs_by_grub(self):
        self.fails("initramfs", initramfs=None, boot="grub")

    def corrupt(self, change, *words):
        with open(INITRAMFS, "rb") as file:
            data = change(file.read())
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.fails(*(words or ("initramfs",)), initramfs=file.name)

    def test_garbage_for_an_initramfs(self):
        self.corrupt(lambda data: os.urandom(8192))

    def test_truncated_initramfs(self):
        self.corrupt(lambda data: data[:len(data) // 2])

    def test_damaged_initramfs(self):
        self.corrupt(lambda data: data[:200_000] + b"\xff" * 1_000_000 + data[1_200_000:].replace(b"070701", b"170701"))

    def test_initramfs_without_init(self):
        self.corrupt(lambda data: data.replace(b"init\0", b"tini\0"), "init")

    def test_too_little_memory(self):
        self.fails("memory", memory="8M")

    def test_cpu_without_what_is_needed(self):
        self.fails("cpu", cpu="qemu32")

    def test_cpu_without_one_feature(self):
        self.fails("cpu", cpu="max,-nx")


class EndTest(SystemTest):
    """Every way for a machine to end."""

    def test_exit_statuses(self):
        for command, status in (("exit 0", 0), ("exit 200", 200), ("kill -9 $$", 137), ("nothing_like_this", 127)):
            with self.subTest(command=command):
                self.boot(command, status=status)

    def test_poweroff_and_halt_by_the_shell(self):
        for command in ("poweroff", "poweroff -f"):
            with self.subTest(command=command):
                # No command has ended: the guest has no exit status to tell, or says 0.
                outcome = qemu.run_command(qemu.Machine(smp=2), command + "; sleep 100", 30)
                self.assertIn(outcome.status, (0, qemu.STATUS_LOST), outcome.log_tail().decode(errors="replace"))

    def test_reboot_boots_again(self):
        for command in (b"reboot\n", b"reboot -f\n"):
            with self.subTest(command=command), qemu.Guest(qemu.Machine(reboot=True)) as guest:
                guest.read_until(b"# ")
                guest.send(command)
                guest.read_until(b"# ")  # the echoed line is not the prompt: the next one is the second boot's
                guest.send(b"poweroff -f\n")
                outcome = guest.finish(30)
                self.assertEqual(outcome.status, 0, outcome.log_tail().decode(errors="replace"))

    def test_a_hanging_guest_tells_its_threads(self):
        with qemu.Guest(qemu.Machine(smp=2), "echo started; sleep 1000") as guest:
            guest.read_until(b"started\n")
            before = len(guest.log())
            outcome = guest.finish(1)
        self.assertEqual(outcome.status, qemu.STATUS_TIMEOUT)
        self.assertIn(b"sleep", outcome.log[before:])
        self.assertIn(b"init", outcome.log[before:])

    def test_panic_report(self):
        """A panic says where: a symbolised backtrace of this CPU, the log's end, and what the others were at, each by itself."""
        outcome = self.boot("echo c >/proc/sysrq-trigger; sleep 100", status=qemu.STATUS_PANIC, smp=4)
        report = outcome.log[outcome.log.index(b"*** Heddle panic: "):]
        self.assertRegex(report, rb"hd::[\w:]+\+0x")
        self.assertRegex(report, rb"\nlast lines of the log:\r?\n\[ +\d+\.\d+\] ")
        self.assertIn(b"*** end of report ***", report)
        for cpu in range(4):
            part = rb"(?m)^CPU %d: .*\n  held spinlocks: \d+\r?\n(    .*\n)*  backtrace:" % cpu
            self.assertEqual(len(re.findall(part, report)), 1, report.decode(errors="replace"))
