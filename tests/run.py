#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run rings of tests, in the order given: `run.py unit kernel guest system`. Everything must be built (make does).

What a ring prints passes through; at the end stands one line, "N passed, N failed", over all rings. A ring that cannot
run counts as failed. With HEDDLE_SUMMARY set, the line goes to that file instead (.ci/run prints it last).
"""

import os
import re
import subprocess
import sys
import traceback
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
sys.path[:0] = [ROOT, os.path.join(ROOT, "tools")]

import qemu  # noqa: E402  (needs the path above)

FUZZ_SECONDS = 10  # a target, beside its kept corpus
STATUS_TEST_FAILURE = (0x12 << 1) | 1
KTEST_LINE = re.compile(r"ktest: (\d+) passed, (\d+) failed")
SMP_OF_RINGS = (1, 4)  # the CPUs that in-kernel and guest tests run on


class Count:
    """Passed and failed tests, and the names of what failed."""

    def __init__(self):
        self.passed = 0
        self.failures = []

    def check(self, good, name):
        if good:
            self.passed += 1
        else:
            self.failures.append(name)
            print("FAILED: " + name, flush=True)

    def add_catch2(self, name, output, status):
        """Count what a Catch2 program said. A crash, or a failure it did not count, is one failure more."""
        passed, failed = catch2_counts(output)
        self.passed += passed
        self.failures += [name] * failed
        if status != 0 and failed == 0:
            self.check(False, "%s: exit status %d" % (name, status))
        elif status == 0 and passed == 0:
            self.check(False, name + ": ran no test")


def catch2_counts(output):
    """(passed, failed) test cases by the closing lines of Catch2's console reporter."""
    match = re.search(r"All tests passed \(\d+ assertions? in (\d+) test cases?\)", output)
    if match:
        return int(match[1]), 0
    match = re.search(r"^test cases: .*$", output, re.MULTILINE)
    if not match:
        return 0, 0

    def number(word):
        found = re.search(r"(\d+) %s" % word, match[0])
        return int(found[1]) if found else 0
    return number("passed") + number("failed as expected"), number(r"failed(?! as)")


def run_program(arguments, limit, environment=None):
    """Run a program of the host, its output passing through; (output, exit status)."""
    limit *= qemu.slowness()
    try:
        result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, cwd=ROOT,
                                env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, check=False)
        output, status = result.stdout, result.returncode
    except subprocess.TimeoutExpired as error:
        output, status = error.stdout or b"", qemu.STATUS_TIMEOUT
        output += b"\n(no end after %d s)\n" % limit
    except OSError as error:
        output, status = b"%s\n" % str(error).encode(), 127
    text = output.decode(errors="replace")
    print(text, end="" if text.endswith("\n") else "\n", flush=True)
    return text, status


def add_python_tests(count, folder):
    suite = unittest.defaultTestLoader.discover(os.path.join(ROOT, folder), pattern="test_*.py", top_level_dir=ROOT)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    bad = result.failures + result.errors
    count.failures += [str(test) for test, _ in bad] + [str(test) for test in result.unexpectedSuccesses]
    count.passed += result.testsRun - len({str(test) for test, _ in bad}) - len(result.skipped)
    # A skipped test has not run: on the machine that counts, that is a failure.
    count.failures += ["%s (skipped: %s)" % (test, why) for test, why in result.skipped]


# ---- The rings ------------------------------------------------------------------------------------------------------

def ring_unit(count):
    count.add_catch2("unit", *run_program([os.path.join(BUILD, "unit", "unit_tests")], 300))
    threaded = os.path.join(BUILD, "unit", "unit_tests_tsan")
    listing = subprocess.run([threaded, "[threads]", "--list-test-names-only"], capture_output=True, check=False)
    if listing.stdout.strip():
        count.add_catch2("unit under TSan", *run_program([threaded, "[threads]"], 300))
    fuzzers = os.path.join(BUILD, "fuzz", "bin")
    for name in sorted(os.listdir(fuzzers)) if os.path.isdir(fuzzers) else []:
        add_fuzzer(count, name, os.path.join(fuzzers, name))
    add_python_tests(count, "tests/tools")


def add_fuzzer(count, name, program):
    """A short run from the kept corpus on. What it finds anew stays under build/."""
    found = os.path.join(BUILD, "fuzz", "found", name)
    kept = os.path.join(ROOT, "tests", "fuzz", "corpus", name)
    os.makedirs(found, exist_ok=True)
    _, status = run_program([program, "-max_total_time=%d" % FUZZ_SECONDS, "-timeout=10", "-verbosity=0",
                             "-print_final_stats=1", "-artifact_prefix=%s/failure-" % found, found]
                            + ([kept] if os.path.isdir(kept) else []), FUZZ_SECONDS + 60)
    count.check(status == 0, "fuzz " + name)


def ring_kernel(count):
    """With the option `ktest` the test kernel runs its tests in place of init and logs "ktest: N passed, N failed"."""
    for smp in SMP_OF_RINGS:
        machine = qemu.Machine(elf=os.path.join(BUILD, "ktest", "heddle.elf"), smp=smp, cmdline="ktest")
        with qemu.Guest(machine) as guest:
            outcome = guest.finish(120)
        log = outcome.log.decode(errors="replace")
        print("\n".join(line for line in log.split("\n") if "ktest:" in line), flush=True)
        said = KTEST_LINE.search(log)
        if said:
            count.passed += int(said[1])
            count.failures += ["kernel test on %d CPUs" % smp] * int(said[2])
        good = said and outcome.status == (0 if said[2] == "0" else STATUS_TEST_FAILURE)
        count.check(good, "kernel tests on %d CPUs: the boot ends well" % smp)
        if not good:
            print("status %d\n%s" % (outcome.status, outcome.log_tail().decode(errors="replace")), flush=True)


def ring_guest(count):
    """Each program of tests/guest on the host, which must pass, and then inside."""
    folder = os.path.join(BUILD, "guest")
    sources = os.listdir(os.path.join(ROOT, "tests", "guest"))
    names = sorted(name[:-4] for name in sources if name.endswith(".cpp") and name != "main.cpp")
    count.check(names, "there are guest tests")
    files = {}
    for name in names:
        print("== guest test %s on the host" % name, flush=True)
        _, status = run_program([os.path.join(folder, name)], 120)
        count.check(status == 0, "guest test %s on the host" % name)
        stripped = os.path.join(folder, name + ".stripped")
        subprocess.run(["x86_64-linux-gnu-objcopy", "--strip-debug", os.path.join(folder, name), stripped], check=True)
        with open(stripped, "rb") as file:
            files["/tests/" + name] = file.read()
    for smp in SMP_OF_RINGS if names else ():
        run_guest_tests(count, names, files, smp)


# Runs one guest test in marks, under leakcheck: afterwards the kernel must hold what it held before.
GUEST_SCRIPT = """
run() {
    echo "@@ begin"
    leakcheck "$@" --use-colour no; status=$?
    echo; echo "@@ status $status"
}
"""
GUEST_SECTION = re.compile(r"@@ begin\n(.*?)\n@@ status (\d+)\n", re.DOTALL)


def run_guest_tests(count, names, files, smp):
    """One boot for all of them."""
    script = GUEST_SCRIPT + "".join("run /tests/%s\n" % name for name in names)
    machine = qemu.Machine(smp=smp, memory="1G")
    outcome = qemu.run_command(machine, script, 60 + 60 * len(names), extra_files=files)
    output = outcome.output.decode(errors="replace")
    sections = GUEST_SECTION.findall(output)
    for index, name in enumerate(names):
        label = "guest test %s on %d CPUs" % (name, smp)
        print("== " + label, flush=True)
        if index >= len(sections):
            count.check(False, label + ": no end")
            continue
        text, status = sections[index]
        print(text, flush=True)
        count.add_catch2(label, text, int(status))
        count.check("leakcheck: nothing was lost" in text, label + ": the kernel lost nothing")
    count.check(outcome.status == 0, "guest tests on %d CPUs: the boot ends well" % smp)
    if outcome.status != 0:
        print(outcome.log_tail().decode(errors="replace"), flush=True)


def ring_system(count):
    add_python_tests(count, "tests/system")


RING_FUNCTIONS = {"unit": ring_unit, "kernel": ring_kernel, "guest": ring_guest, "system": ring_system}


def main():
    total = Count()
    for ring in sys.argv[1:]:
        print("==== ring %s ====" % ring, flush=True)
        count = Count()
        try:
            RING_FUNCTIONS[ring](count)
        except Exception:  # a ring that cannot run has failed, and the next ones still run
            traceback.print_exc(file=sys.stdout)
            count.failures.append("ring %s could not run" % ring)
        print("==== ring %s: %d of %d tests good ====" % (ring, count.passed, count.passed + len(count.failures)),
              flush=True)
        total.passed += count.passed
        total.failures += count.failures
    for name in dict.fromkeys(total.failures):
        print("failed: " + name)
    line = "%d passed, %d failed" % (total.passed, len(total.failures))
    summary = os.environ.get("HEDDLE_SUMMARY")
    if summary:
        with open(summary, "w", encoding="ascii") as file:
            file.write(line + "\n")
    else:
        print(line, flush=True)
    return 1 if total.failures or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
