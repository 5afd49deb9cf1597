#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make lint`: every check that needs no running kernel. All run; the exit status tells whether one complained.

    format          clang-format has nothing to change
    layers          tools/layers.py
    thread safety   clang's -Wthread-safety over the kernel's sources
    clang-tidy      with the kept profile .clang-tidy
    shell           shellcheck
    frames          no stack frame over 1 KiB, by the compiler's own account (-fstack-usage)
    size            no file over 600 lines; tools/loc.py within its limit
"""

import argparse
import concurrent.futures
import glob
import os
import shlex
import subprocess
import sys

FRAME_LIMIT = 1024
FILE_LIMIT = 600
LOC_LIMIT = 27350  # a ratchet: it goes down, but for a new part of the kernel
CLANG = "clang++-19"


def run(command):
    """(whether it succeeded without a word about warnings, what it printed)."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode == 0, result.stdout


def run_each(commands):
    """Run the commands, as many at once as there are CPUs; what the failing ones printed, each complaint once."""
    complaints = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for good, output in pool.map(run, commands):
            if not good:
                complaints.append(output.strip())
    return list(dict.fromkeys(complaints))


def check_format(arguments):
    if not arguments.format:
        return []
    _, output = run(["clang-format-19", "--dry-run"] + arguments.format)
    files = sorted({line.split(":")[0] for line in output.split("\n") if "clang-format-violations" in line})
    return ["%s is not laid out as .clang-format says (make format)" % file for file in files]


def check_layers(_):
    return run_each([[sys.executable, "tools/layers.py"]])


def check_thread_safety(arguments):
    flags = shlex.split(os.environ["LINT_FLAGS"])
    return run_each([[CLANG] + flags + ["-Wthread-safety", "-Werror", "-fsyntax-only", source]
                     for source in arguments.kernel])


def check_tidy(arguments):
    flags = shlex.split(os.environ["LINT_FLAGS"])
    return run_each([["clang-tidy-19", "--quiet", source, "--"] + flags for source in arguments.kernel])


def check_shell(arguments):
    return run_each([["shellcheck"] + arguments.scripts]) if arguments.scripts else []


def large_frames(text, limit):
    """Complaints about one .su file's lines: "place:function<TAB>bytes<TAB>kind"."""
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) != 3:
            continue
        place, size, kind = fields
        if int(size) > limit:
            yield "%s: a stack frame of %s bytes" % (place, size)
        elif "dynamic" in kind and "bounded" not in kind:
            yield "%s: a stack frame of unknown size" % place


def check_frames(_):
    complaints = []
    for path in sorted(glob.glob("build/obj/**/*.su", recursive=True)):
        if not os.path.exists(path.removeprefix("build/obj/").removesuffix(".su")):
            continue  # left by a source that is gone
        with open(path, encoding="utf-8") as file:
            complaints += large_frames(file.read(), FRAME_LIMIT)
    return complaints


def check_size(arguments):
    complaints = []
    for path in arguments.format:
        with open(path, encoding="utf-8") as file:
            lines = sum(1 for _ in file)
        if lines > FILE_LIMIT:
            complaints.append("%s: %d lines, more than %d" % (path, lines, FILE_LIMIT))
    good, output = run([sys.executable, "tools/loc.py", "--limit", str(LOC_LIMIT)])
    print(output, end="")
    return complaints + ([] if good else ["the kernel is larger than its limit"])


CHECKS = [("format", check_format), ("layers", check_layers), ("thread safety", check_thread_safety),
          ("clang-tidy", check_tidy), ("shell", check_shell), ("frames", check_frames), ("size", check_size)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--format", nargs="*", default=[])
    parser.add_argument("--kernel", nargs="*", default=[])
    parser.add_argument("--scripts", nargs="*", default=[])
    parser.add_argument("--only", choices=[name for name, _ in CHECKS])
    arguments = parser.parse_args()
    bad = []
    for name, check in CHECKS:
        if arguments.only in (None, name):
            complaints = check(arguments)
            print("\n".join(complaints + ["lint: %s: %s" % (name, "%d complaints" % len(complaints)
                                                           if complaints else "good")]), flush=True)
            bad += [name] if complaints else []
    if bad:
        print("lint: complaints about: " + ", ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
