# SPDX-License-Identifier: MIT
"""The watch for deadlocks: finds each of those in tests/system/programs/deadlocks.c, and none where there is none."""
import os
import re
import subprocess
import tempfile

from tests.system import ROOT, SystemTest

SOURCE = os.path.join(ROOT, "tests", "system", "programs", "deadlocks.c")
COMPILERS = {"glibc": "gcc", "musl": "musl-gcc"}
# What the two threads wait for, as /proc/PID/waits and the report have it.
KINDS = {
    "mutexes": ["a mutex", "a mutex"],
    "priority": ["a mutex", "a mutex with priority inheritance"],
    "join": ["a mutex", "a thread's end"],
    "semaphores": ["semaphore 0", "semaphore 1"],
    "pipes": ["a pipe's writer", "a pipe's writer"],
    "mixed": ["a record lock", "semaphore 0"],
}
# The last report in the log, as soon as it is whole.
SCRIPT = """
last_report() { dmesg | awk '/deadlock: [0-9]/ { text = "" } /deadlock:/ { text = text $0 "\\n" } END { printf "%%s", text }'; }
number=0
for kind in %s; do
    echo "== $kind"
    number=$((number + 1))
    /tests/deadlocks $kind &
    while [ $(dmesg | grep -c 'holds up') -lt $((number * 2)) ]; do sleep 0.05; done
    for process in $(pidof deadlocks); do cat /proc/$process/waits; done
    last_report
    kill -9 $(pidof deadlocks); wait
done
echo "== none"
/tests/deadlocks none; echo "status $?"
echo "reports $(dmesg | grep -c 'deadlock: [0-9]')"
""" % " ".join(KINDS)


def compiled(libc):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "deadlocks")
        subprocess.run([COMPILERS[libc], "-static", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-pthread",
                        SOURCE, "-o", path], check=True)
        with open(path, "rb") as program:
            return program.read()


class DeadlockTest(SystemTest):
    def sections(self, libc, smp):
        output = self.boot(SCRIPT, limit=120, smp=smp, extra_files={"/tests/deadlocks": compiled(libc)}).output.decode()
        return dict(re.findall(r"== (\w+)\n(.*?)(?=== |\Z)", output, re.S))

    def check(self, libc, smp):
        sections = self.sections(libc, smp)
        self.assertEqual(list(sections), list(KINDS) + ["none"])
        for kind, waits in KINDS.items():
            with self.subTest(kind=kind):
                text = sections[kind]
                table = re.findall(r"^(\d+) \(\w+\) waits for ([^,(:\n]*?)(?: of set \d+)?(?: \([^)]*\))?[,:][^\n]* (\d+)$", text, re.M)
                self.assertEqual(sorted(what for _, what, _ in table), waits, text)
                self.assertEqual({who for who, _, _ in table}, {whom for _, _, whom in table}, text)  # each for the other
                self.assertEqual(text.count("2 threads wait for each other"), 1, text)
                self.assertEqual(len(re.findall(r"deadlock:   thread", text)), 2, text)
                self.assertEqual(text.count("it holds up thread"), 2, text)
        self.assertRegex(sections["mutexes"], r"take_second_then_first\+0x")
        self.assertEqual(sections["none"], "status 0\nreports %d\n" % len(KINDS))

    def test_glibc_1(self):
        self.check("glibc", 1)

    def test_musl_4(self):
        self.check("musl", 4)

    def test_broken(self):
        outcome = self.boot("/tests/deadlocks mixed; dmesg | grep broken", smp=2, cmdline="deadlock=break",
                            extra_files={"/tests/deadlocks": compiled("glibc")})
        self.assertRegex(outcome.output.decode(), r"^F_SETLKW: EDEADLK\n.*broken: thread \d+ gets EDEADLK\n$")
