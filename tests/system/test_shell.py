# SPDX-License-Identifier: MIT
"""The unmodified busybox behaves as it does on Linux: the scripts of tests/system/scripts give the same bytes."""
import os
import re

from tests.system import Oracle, SystemTest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")


def scripts():
    """{name: text} of the kept scripts."""
    result = {}
    for name in sorted(os.listdir(FOLDER)):
        with open(os.path.join(FOLDER, name), "rb") as file:
            result[name.removesuffix(".sh")] = file.read()
    return result


def runner(names):
    """A command that runs the scripts one after the other, each in a folder of its own, with marks around."""
    return "\n".join("rm -rf /tmp/%s; mkdir /tmp/%s; cd /tmp/%s; echo '@@ %s'; sh /scripts/%s; echo \"@@ status $?\""
                     % ((name,) * 5) for name in names)


def sections(output):
    """{name: what it printed, status line included}."""
    return {match[1].decode(): match[2] for match in
            re.finditer(rb"^@@ (\w+)\n(.*?@@ status \d+\n)", output, re.DOTALL | re.MULTILINE)}


class ShellTest(SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.texts = scripts()
        cls.files = {"/scripts/" + name: text for name, text in cls.texts.items()}
        with Oracle(cls.files) as oracle:
            output, cls.oracle_status = oracle.run(runner(cls.texts))
        cls.expected = sections(output)

    def test_the_oracle_ran_everything(self):
        self.assertEqual(self.oracle_status, 0)
        self.assertEqual(sorted(self.expected), sorted(self.texts))

    def compare(self, smp):
        outcome = self.boot(runner(self.texts), limit=180, smp=smp, extra_files=self.files)
        found = sections(outcome.output)
        for name in self.texts:
            with self.subTest(script=name, smp=smp):
                self.assert_same_text(found.get(name, b"(never ended)"), self.expected.get(name, b"(never ended)"))

    def test_on_one_cpu(self):
        self.compare(1)

    def test_on_four_cpus(self):
        self.compare(4)

    def test_top(self):
        """top names the machine and the processes: only its shape can be compared."""
        output = self.boot("top -b -n1", smp=2).output.decode()
        lines = output.strip().split("\n")
        self.assertRegex(lines[0], r"^Mem: \d+K used, \d+K free, \d+K shrd, \d+K buff, \d+K cached")
        self.assertRegex(lines[1], r"^CPU: +\S+% usr +\S+% sys +\S+% nic +\S+% idle +\S+% io +\S+% irq +\S+% sirq")
        self.assertRegex(lines[2], r"^Load average: \d+\.\d+ \d+\.\d+ \d+\.\d+ \d+/\d+ \d+")
        self.assertRegex(lines[3], r"^ +PID +PPID +USER +STAT +VSZ +%VSZ +(CPU +)?%CPU +COMMAND")
        self.assertTrue(any(line.split()[0] == "1" and "init" in line for line in lines[4:]), output)
        self.assertTrue(any("top -b -n1" in line for line in lines[4:]), output)

    def test_proc_tools(self):
        """What the kernel says about itself has the form that the tools read."""
        output = self.boot("free; uptime; mount; cat /proc/loadavg; ps -o pid,ppid,stat,args", smp=2).output.decode()
        self.assertRegex(output, r"Mem: +\d+ +\d+ +\d+")
        self.assertRegex(output, r"up +\d+ min, .*load average: ")
        self.assertRegex(output, r"proc on /proc type proc")
        self.assertRegex(output, r"\n +1 +0 S +/init")
