# SPDX-License-Identifier: MIT
"""The watches over threads that get no further. That they find who is stuck is shown by tests/kernel and tests/guest; here, that
they are silent about everybody else, and how they are set."""
import re

from tests.system import SystemTest

# Long waits with a reason: a point in time, a child, input, a stop, a lock of another process, vfork's child.
WAITS = ("mkfifo /tmp/f; cat /tmp/f & cat </tmp/f & flock /tmp/l sleep 4 & flock /tmp/l true & sleep 4 & kill -STOP $!; stopped=$!; "
         "timeout 3 sh -c 'while :; do :; done' & sleep 4; kill -KILL $stopped; echo >/tmp/f; ")
SETTING = "/proc/sys/kernel/hung_task_timeout_secs"


# What its two threads repeat.
LIVELOCKS = {"polite": b"sched_yield", "pi": b"sched_yield", "files": b"file lock not free", "naps": b"nanosleep of a moment",
             "counts": b"sched_yield"}
# Starts them all, and ends once the kernel has told of each.
UNTIL_TOLD = ("for kind in %s; do livelock $kind & echo $kind $!; pids=\"$pids $!\"; done; for pid in $pids; do "
              "until grep -q told /proc/$pid/livelock; do sleep 0.1; done; done; sleep 2; kill $pids; wait" % " ".join(LIVELOCKS))


class LivelockTest(SystemTest):
    def test_livelocks_are_told_of_once(self):
        """Two polite threads, whatever their locks and however they give way: both are named, with what they repeat and where."""
        for smp in (1, 4):
            with self.subTest(smp=smp):
                outcome = self.boot(UNTIL_TOLD, smp=smp, cmdline="livelock_secs=1")
                kinds = dict(reversed(line.split()) for line in outcome.output.splitlines())
                reports = re.findall(rb"livelock in process (\d+): for \d+ s its running threads have only tried in vain\n",
                                     outcome.log)
                self.assertEqual(sorted(reports), sorted(kinds))
                for pid in reports:
                    line = (rb"thread (\d+) \(livelock\) of process %s: (?:\d+ times [a-z_ ]+, )*\d+ times %s(?:, [^,\n]*)*, "
                            rb"last at 0x[0-9a-f]+ in /bin/livelock" % (pid, LIVELOCKS[kinds[pid].decode()]))
                    named = re.findall(line, outcome.log)
                    self.assertEqual(len(set(named)), 2, outcome.log)
                    self.assertNotIn(pid, named)  # the first thread only waits for them

    def test_programs_that_get_further(self):
        """Work between yields, a spin-wait that ends, partners that wait for each other, an idle event loop."""
        for smp in (1, 4):
            with self.subTest(smp=smp):
                outcome = self.boot("for kind in workers 'spin 6' relay events; do livelock $kind & pids=\"$pids $!\"; done; "
                                    "sleep 5; kill $pids; wait", smp=smp, cmdline="livelock_secs=1")
                self.assertNotIn(b"livelock in process", outcome.log)

    def test_setting(self):
        setting = SETTING.replace("hung_task_timeout_secs", "livelock_secs")
        outcome = self.boot("cat {0}; echo 0 >{0}; cat {0}; livelock polite & sleep 3; cat /proc/$!/livelock; kill $!".format(setting),
                            cmdline="livelock_secs=1")
        self.assertEqual(outcome.output, b"1\n0\nquiet\n")


class SleepTest(SystemTest):
    def test_waits_with_a_reason(self):
        for smp in (1, 4):
            with self.subTest(smp=smp):
                outcome = self.boot(WAITS + "echo over", smp=smp, cmdline="hung_task_timeout_secs=1")
                self.assertIn(b"over\n", outcome.output)
                self.assertNotIn(b"without a reason", outcome.log)

    def test_setting(self):
        outcome = self.boot("cat {0}; echo 7 >{0}; cat {0}; echo x >{0} || echo 1000001 >{0} || echo 0 >{0}; cat {0}"
                            .format(SETTING), cmdline="hung_task_timeout_secs=12")
        self.assertEqual(outcome.output.split(b"\n")[:2], [b"12", b"7"])
        self.assertRegex(outcome.output, rb"\n0\n$")
