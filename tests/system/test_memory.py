# SPDX-License-Identifier: MIT
"""When memory runs out, the largest process ends, the log says so, and everything else goes on."""
import re

from tests.system import SystemTest

KILLED = re.compile(rb"out of memory: killed process \d+ with \d+ KiB")


class OutOfMemoryTest(SystemTest):
    def kills(self, command, smp):
        """Somebody is killed for the command, the shell that ran it is not, and nothing is lost."""
        outcome = self.boot("leakcheck sh -c '%s; echo survived $?'" % command, smp=smp, memory="64M")
        self.assertRegex(outcome.log, KILLED)
        self.assertRegex(outcome.output, rb"survived \d+\n")
        self.assertIn(b"leakcheck: nothing was lost", outcome.output)
        return outcome

    def test_one_takes_all(self):
        for smp in (1, 4):
            with self.subTest(smp=smp):
                self.assertIn(b"survived 137", self.kills("memhog touch 100 2>/dev/null", smp).output)

    def test_many_at_once(self):
        """Eight that hold more together than there is, until one of them was killed: then their common input ends."""
        hogs = "".join("memhog hold 12 <&3 2>/dev/null & " for _ in range(8))
        until = 'until dmesg | grep -q "out of memory"; do sleep 0.1; done'
        for smp in (1, 4):
            with self.subTest(smp=smp):
                self.kills("{ %s; } | { exec 3<&0; %s exec 3<&-; wait; }" % (until, hogs), smp)

    def test_the_victim_waits_for_a_lock_that_who_needs_memory_holds(self):
        """Both ends of a pipe: the reader's page fault comes with the pipe's lock held, and the writer sleeps for it."""
        for smp in (1, 2):
            with self.subTest(smp=smp):
                self.kills("memhog write 40 2>/dev/null | memhog read 40", smp)
