#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each of stress-ng's stressors that the system tests run all at once, by itself: `make stress`. 4 CPUs, two instances, 5 s, with
--verify and leakcheck. A failing one's log stays in build/stress/."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tools")]

import qemu  # noqa: E402  (needs the path above)

from tests.system.test_programs import STRESSORS, debian_files  # noqa: E402


def main():
    folder = os.path.join(qemu.BUILD, "stress")
    os.makedirs(folder, exist_ok=True)
    files = debian_files(["stress-ng"])
    failures = 0
    for name in STRESSORS:
        outcome = qemu.run_command(qemu.Machine(smp=4, memory="1G"),
                                   "cd /tmp; leakcheck stress-ng --%s 2 -t 5 --verify 2>&1" % name, 120, extra_files=files)
        good = outcome.status == 0 and all(text in outcome.output for text in (b"successful run", b"nothing was lost"))
        bad = any(text in outcome.output for text in (b"skipped", b"stress-ng: fail"))
        if good and not bad:
            print("%s: good" % name, flush=True)
            continue
        failures += 1
        path = os.path.join(folder, name + ".log")
        with open(path, "wb") as file:
            file.write(outcome.output + b"\n" + outcome.log)
        print("%s failed with status %d%s: %s" % (name, outcome.status, ", time was up" if outcome.timed_out else "", path), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
