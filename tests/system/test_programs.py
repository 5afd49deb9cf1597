# SPDX-License-Identifier: MIT
"""Unmodified, dynamically linked programs of the distribution, put into the root file system for the test."""
import os
import re
import shutil
import subprocess

from tests.system import SystemTest

SCRIPT = """
seq 7 | sort -rn | tr '\\n' ' '; echo
total=0; for i in $(seq 50); do total=$((total + i)); done; echo $total
for word in one two three; do (echo $word; sleep 0.01) & done | sort
wait
printf '%s\\n' a:1 b:2 | while IFS=: read -r key value; do echo "$value=$key"; done
trap 'echo caught' USR1; kill -USR1 $$; echo after
declare -A table=([x]=1 [y]=2); echo ${table[x]}${table[y]}
cat <(echo from) <(echo two)
exit 7
"""
PROGRAMS = ["bash", "cat", "seq", "sleep", "sort", "tr"]


def libraries(path):
    """What the dynamic linker would map, itself included."""
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listing)


def debian_files(names):
    """The programs, at the paths that they have on the host, with their libraries: for SystemTest.boot()."""
    files = {}
    for name in names:
        path = shutil.which(name)
        for each in [path] + libraries(path):
            with open(each, "rb") as file:
                files[each] = file.read()
    return files

# stress-ng's ways to load what this kernel is about; `make stress` runs each by itself (tests/stress/programs.py).
STRESSORS = ("clone context epoll eventfd fifo flock fork futex lockf mq msg mutex pipe poll sem sem-sysv shm shm-sysv sigq sigsuspend "
             "sock sockpair switch timerfd wait yield").split()
# Of rt-tests: each measures how long a wake-up takes that one way of synchronisation makes, or strains it.
RT_TESTS = """
hackbench -g 2 -l 50 -p
hackbench -g 2 -l 50 -p -T
hackbench -g 2 -l 50
hackbench -g 2 -l 50 -T
svsematest -t 2 -l 100 -p 80
svsematest -f -l 50 -p 80
ptsematest -t 2 -l 100 -p 80
pmqtest -t 2 -l 100 -p 80
sigwaittest -t 2 -l 100 -p 80
sigwaittest -f -l 50 -p 80
cyclictest -q -t 4 -l 200 -p 80
pi_stress -q --duration 1 --groups 2
"""


class ProgramsTest(SystemTest):
    def test_bash_and_coreutils(self):
        files = debian_files(PROGRAMS)
        files["/tmp/script"] = SCRIPT.encode()
        host = subprocess.run(["bash", "-c", SCRIPT], capture_output=True, check=False,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdin=subprocess.DEVNULL)
        for smp in (1, 4):
            with self.subTest(smp=smp):
                outcome = self.boot("export PATH=/usr/bin LC_ALL=C; bash /tmp/script </dev/null", limit=60, smp=smp,
                                    status=host.returncode, extra_files=files)
                self.assert_same_text(outcome.output, host.stdout)

    def check_stressors(self, outcome):
        """stress-ng's exit status does not tell of what it has skipped."""
        self.assertIn(b"successful run completed", outcome.output)
        for word in (b"skipped", b"stress-ng: fail", b"aborting", b"unsuccessful"):
            self.assertNotIn(word, outcome.output)

    def test_stress_ng(self):
        """All at once: what they do to each other counts too."""
        command = "stress-ng %s -t 5 --verify 2>&1" % " ".join("--%s 1" % name for name in STRESSORS)
        outcome = self.boot("cd /tmp; leakcheck " + command, smp=4, memory="1G", extra_files=debian_files(["stress-ng"]))
        self.check_stressors(outcome)
        self.assertIn(b"leakcheck: nothing was lost", outcome.output)

    def test_rt_tests(self):
        lines = RT_TESTS.strip().split("\n")
        script = "while read -r line; do $line >/tmp/out 2>&1 </dev/null || { echo \"$line: $?\"; cat /tmp/out; }; done"
        outcome = self.boot(script + " <<'EOF'\n%s\nEOF\n" % "\n".join(lines), smp=4, memory="1G",
                            extra_files=debian_files({line.split()[0] for line in lines}))
        self.assertEqual(outcome.output.decode(), "")
