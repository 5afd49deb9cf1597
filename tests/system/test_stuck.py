# SPDX-License-Identifier: MIT
"""The watches over threads that get no further. That they find who is stuck is shown by tests/kernel and tests/guest; here, that
they are silent about everybody else, and how they are set."""
from tests.system import SystemTest

# Long waits with a reason: a point in time, a child, input, a stop, a lock of another process, vfork's child.
WAITS = ("mkfifo /tmp/f; cat /tmp/f & cat </tmp/f & flock /tmp/l sleep 4 & flock /tmp/l true & sleep 4 & kill -STOP $!; stopped=$!; "
         "timeout 3 sh -c 'while :; do :; done' & sleep 4; kill -KILL $stopped; echo >/tmp/f; ")
SETTING = "/proc/sys/kernel/hung_task_timeout_secs"


class StuckTest(SystemTest):
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
