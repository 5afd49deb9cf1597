#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What kernel/syscall/table.def says, in other forms.

    syscalls.py            docs/syscalls.md on standard output
    syscalls.py --names    "number name" lines, for tests and tracers
    syscalls.py --check    nothing, if docs/syscalls.md is what the table gives and no number or name stands twice
"""

import argparse
import dataclasses
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "kernel", "syscall", "table.def")
DOCUMENT = os.path.join(ROOT, "docs", "syscalls.md")

HEAD = """# System calls

Made by `tools/syscalls.py` from kernel/syscall/table.def: {count} calls of Linux's x86-64 table. Every other number
answers ENOSYS, and the log says so once. The types say what an argument is to the program: `In`, `Out` and `InOut`
point to a structure that the call reads, writes or both; `Address` is memory that the call itself does not look at;
kernel/syscall/types.hpp has them all. What a call does is in its man page; what is missing of it is refused with the
errno that the man page names. Of the resource limits FSIZE, DATA, RSS, MEMLOCK and AS are kept but not enforced.
"""


@dataclasses.dataclass
class Call:
    number: int
    name: str
    parameters: list  # of (type, name)
    family: str


def read_table(path=TABLE):
    """The calls in the table's order."""
    calls = []
    family = ""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            heading = re.match(r"// ---- (.*)", line)
            if heading:
                family = heading.group(1)
            entry = re.fullmatch(r"(?:SYSCALL|ALIAS)\((\d+),\s*(\w+),\s*\(([^()]*)\)(, \w+\(.*\))?\)\s*", line)
            if entry:
                parameters = [tuple(each.rsplit(" ", 1)) for each in entry.group(3).split(", ") if each]
                calls.append(Call(int(entry.group(1)), entry.group(2), parameters, family))
            elif line.startswith(("SYSCALL", "ALIAS")):
                raise SystemExit("%s:%d: cannot read this line" % (path, number))
    return calls


def twice(values):
    """Those that stand more than once."""
    seen = set()
    return sorted({value for value in values if value in seen or seen.add(value)})


def document(calls):
    lines = [HEAD.format(count=len(calls))]
    for family in dict.fromkeys(call.family for call in calls):
        lines += ["## %s" % family.capitalize(), "", "| number | name | arguments |", "|---:|---|---|"]
        for call in calls:
            if call.family == family:
                arguments = ", ".join("%s `%s`" % (name, kind.replace("abi::", "")) for kind, name in call.parameters)
                lines.append("| %d | %s | %s |" % (call.number, call.name, arguments))
        lines.append("")
    return "\n".join(lines)


def check(calls):
    """Complaints."""
    complaints = ["number %d stands twice in the table" % each for each in twice(call.number for call in calls)]
    complaints += ["%s stands twice in the table" % each for each in twice(call.name for call in calls)]
    try:
        with open(DOCUMENT, encoding="utf-8") as file:
            current = file.read()
    except FileNotFoundError:
        current = None
    if current != document(calls):
        complaints.append("docs/syscalls.md is not what the table gives: tools/syscalls.py >docs/syscalls.md")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    calls = read_table()
    if arguments.names:
        for call in sorted(calls, key=lambda call: call.number):
            print(call.number, call.name)
    elif arguments.check:
        complaints = check(calls)
        print("\n".join(complaints), end="\n" if complaints else "")
        return 1 if complaints else 0
    else:
        sys.stdout.write(document(calls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
