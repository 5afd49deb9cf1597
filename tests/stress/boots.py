#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot again and again: `make stress BOOTS=500`. Each boot has 4 CPUs and runs a pipeline, 200 background jobs and a kill,
and must print what it should and end with status 0. A failing boot's log stays in build/stress/.

Not a part of `make test`: it looks for what shows once in hundreds of boots.
"""

import argparse
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import qemu  # noqa: E402  (needs the path above)

SCRIPT = """
seq 1 1000 | sed 's/^/x/' | sort -r | tail -n 1
i=0; while [ $i -lt 200 ]; do (: $i; exit 3) & i=$((i + 1)); done; wait; echo jobs $?
sleep 1000 & kill $!; wait $! 2>/dev/null; echo killed $?
"""
EXPECTED = b"x1\njobs 0\nkilled 143\n"


def one_boot(machine):
    """What went wrong, or None."""
    outcome = qemu.run_command(machine, SCRIPT, 120)
    if outcome.status == 0 and outcome.output == EXPECTED:
        return None
    return "status %d%s, output %r\n%s" % (outcome.status, " (time is up)" if outcome.timed_out else "",
                                           outcome.output[-1000:], outcome.log.decode(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--boots", type=int, default=500)
    parser.add_argument("--smp", type=int, default=4)
    arguments = parser.parse_args()
    machine = qemu.Machine(smp=arguments.smp)
    folder = os.path.join(qemu.BUILD, "stress")
    os.makedirs(folder, exist_ok=True)
    failures, started = 0, time.monotonic()
    for number in range(1, arguments.boots + 1):
        failure = one_boot(machine)
        if failure:
            failures += 1
            path = os.path.join(folder, "boot-%d.log" % number)
            with open(path, "w", encoding="utf-8") as file:
                file.write(failure)
            print("boot %d failed: %s" % (number, path), flush=True)
        if number % 50 == 0 or number == arguments.boots:
            print("%d boots, %d failures, %.1f s each" % (number, failures, (time.monotonic() - started) / number),
                  flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
