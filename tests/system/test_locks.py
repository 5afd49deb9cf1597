# SPDX-License-Identifier: MIT
"""The lock-order graph that a busy machine leaves in /proc/lockdep: it agrees with the ranks, and both with the documentation."""
import os
import re
import shutil
import subprocess

from tests.system import ROOT, SystemTest

# Processes, pipes, files and directories, names, memory, timers, signals, the terminal.
WORK = ("forkdemo; seq 1000 | sort -rn | tail -n 1; mkdir /tmp/d; ps >/tmp/d/ps; mv /tmp/d/ps /tmp/processes; rm -r /tmp/d; "
        "find / -xdev | wc -l; timeout 1 sleep 5; sh -c 'kill -9 $$'; usleep 1000; ")
RANKS = r"enum class Rank : u8 \{(.*?)kCount"
RANK_LINE = re.compile(r" *(\d+) (\w+) +(sleeping|spin|irq-spin|-)((?: +[a-z-]+)*) *$")
EDGE_LINE = re.compile(r"(\w+) -> (\w+) (kernel/[\w/.]+|arch/[\w/.]+):\d+$")


def ranks_of_the_source():
    """Names of the ranks, lowest first."""
    with open(os.path.join(ROOT, "kernel/core/rank.hpp"), encoding="utf-8") as source:
        body = re.search(RANKS, source.read(), re.S).group(1)
    return re.findall(r"^    (\w+),", body, re.M)


def groups_of_the_documentation():
    """The three numbered lists of docs/lock-order.md: the names in each."""
    with open(os.path.join(ROOT, "docs/lock-order.md"), encoding="utf-8") as page:
        items = re.split(r"^\d\. ", page.read().split("\nA lock's constructor")[0], flags=re.M)[1:]
    return [re.findall(r"`(\w+)`", item) for item in items]


class LockOrderTest(SystemTest):
    def graph(self, text):
        """The ranks of /proc/lockdep as name: (number, kind, what was seen), and its edges."""
        nodes, edges = text.split("\n\n")
        ranks = {}
        for line in nodes.split("\n")[1:]:
            number, name, kind, seen = RANK_LINE.match(line).groups()
            ranks[name] = (int(number), kind, seen.split())
        lines = edges.rstrip("\n").split("\n")[1:]
        return ranks, [EDGE_LINE.match(line).groups()[:2] for line in lines]

    def check_drawing(self, dot, ranks, edges):
        """Graphviz draws it, where it is installed; in any case it has the graph."""
        if shutil.which("dot"):
            drawn = subprocess.run(["dot", "-Tsvg"], input=dot.encode(), capture_output=True, check=False)
            self.assertEqual((drawn.returncode, drawn.stderr), (0, b""))
            self.assertIn(b"</svg>", drawn.stdout)
        statement = re.compile(r"digraph lockdep \{|\}|subgraph cluster_\w+ \{|(label=\"[^\"]*\"|rankdir=LR|node \[shape=box\]);"
                               r"|\w+( -> \w+)? \[\w+=(\"[^\"]*\"|\w+)(, \w+=(\"[^\"]*\"|\w+))*\];")
        depth = 0
        for line in dot.rstrip("\n").split("\n"):
            self.assertRegex(line.strip(), r"^(?:%s)$" % statement.pattern)
            depth += line.count("{") - line.count("}")
        self.assertEqual(depth, 0)
        # It was read a little later, so it may have more.
        self.assertLessEqual(set(ranks) - {"Interrupt"}, set(re.findall(r"^    (\w+) \[label", dot, re.M)))
        self.assertLessEqual(set(edges), set(re.findall(r"^  (\w+) -> (\w+) ", dot, re.M)))

    def test_the_page_has_the_ranks_in_order(self):
        sleeping, spin, irq = groups_of_the_documentation()
        self.assertEqual(["None"] + sleeping + spin + irq, ranks_of_the_source())
        self.assertEqual(spin[-1], "Interrupt")

    def test_observed_edges(self):
        names = ranks_of_the_source()
        groups = dict(zip(("sleeping", "spin", "irq-spin"), groups_of_the_documentation()))
        for smp in (1, 4):
            with self.subTest(smp=smp):
                output = self.boot("{ %s } >/dev/null 2>&1; cat /proc/lockdep; echo =; cat /proc/lockdep.dot" % WORK,
                                   smp=smp).output.decode()
                text, dot = output.split("\n=\n")
                ranks, edges = self.graph(text)
                for name, (number, kind, seen) in ranks.items():
                    self.assertEqual(names[number], name)
                    if name != "Interrupt":
                        self.assertIn(name, groups[kind])
                    if "in-interrupt" in seen:
                        self.assertEqual(kind, "irq-spin")
                    if kind == "irq-spin":
                        self.assertNotIn("interrupts-on", seen)
                for outside, inside in edges:
                    self.assertLess(names.index(outside), names.index(inside))
                    self.assertLessEqual({outside, inside}, set(ranks))
                # What cannot have failed to happen: the graph is not empty of a sort. The first is the page's own example.
                for edge in (("FilePosition", "Inode"), ("AddressSpace", "PageTable"), ("ProcessTree", "Signal"),
                             ("Interrupt", "Timer"), ("Interrupt", "RunQueue"), ("SlabDepot", "FrameAllocator")):
                    self.assertIn(edge, edges)
                self.check_drawing(dot, ranks, edges)
