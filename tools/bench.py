#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a program that prints "NAME NUMBER" lines on Heddle and on Debian's Linux, the same binary in the same QEMU, in turn, and
print the medians side by side: `make bench RUN=parallel SMP=2`, `make bench RUN=icount ICOUNT=1`.

Linux's kernel is the distribution's package, fetched with apt-get when it is first needed and kept under build/linux. It gets a command
line that leaves out what Heddle does not do either (mitigations, control groups, security modules), so that neither is held against it.
"""

import argparse
import glob
import os
import re
import statistics
import subprocess
import sys

import mkinitramfs
import qemu

PACKAGE = "linux-image-amd64"
FOLDER = os.path.join(qemu.BUILD, "linux")
LEAN = ("mitigations=off init_on_alloc=0 cgroup_disable=memory apparmor=0 lsm=yama audit=0 randomize_kstack_offset=off no5lvl nokaslr "
        "clocksource=tsc tsc=reliable quiet")
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
export PATH=/bin
echo BEGIN
%s
echo END
/bin/busybox poweroff -f
"""


def linux_kernel():
    """The path of the distribution's kernel."""
    def found():
        return sorted(glob.glob(os.path.join(FOLDER, "boot", "vmlinuz-*")))
    if not found():
        os.makedirs(FOLDER, exist_ok=True)
        depends = subprocess.run(["apt-cache", "depends", PACKAGE], capture_output=True, text=True, check=True).stdout
        name = re.search(r"Depends: (linux-image-\S+)", depends)[1]
        print("fetching %s: the kernel to compare with" % name, file=sys.stderr)
        subprocess.run(["apt-get", "download", "-q", name], cwd=FOLDER, check=True, capture_output=True)
        package = glob.glob(os.path.join(FOLDER, "*.deb"))[0]
        subprocess.run("dpkg-deb --fsys-tarfile %s | tar -x ./boot" % os.path.basename(package), shell=True, cwd=FOLDER, check=True)
        os.unlink(package)
    return found()[-1]


def numbers(output):
    return {name: float(value) for name, value in re.findall(r"^([a-z]\w*) ([0-9.]+)\r?$", output.decode(), re.MULTILINE)}


def run_heddle(machine, command, limit):
    outcome = qemu.run_command(machine, command, limit)
    if outcome.status != 0:
        sys.exit("Heddle: exit status %d\n%s" % (outcome.status, outcome.log_tail().decode(errors="replace")))
    return numbers(outcome.output)


def run_linux(machine, command, limit):
    kernel = linux_kernel()
    archive = mkinitramfs.Archive()
    for name in ("proc", "dev", "tmp"):
        archive.add_directory(name)
    archive.add_file("/init", (INIT % command).encode(), 0o755)
    programs = {os.path.basename(path): path for path in glob.glob(os.path.join(qemu.BUILD, "bin", "*"))}
    programs["busybox"] = os.environ.get("BUSYBOX", "/bin/busybox")
    for name, path in programs.items():
        with open(path, "rb") as file:
            archive.add_file("/bin/" + name, file.read(), 0o755)
    initrd = os.path.join(FOLDER, "initrd")
    with open(initrd, "wb") as file:
        file.write(archive.pack())
    accelerator = ["tcg,thread=single", "-icount", "shift=0,sleep=off"] if machine.icount else ["tcg,thread=multi"]
    arguments = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-cpu", machine.cpu, "-smp", str(machine.smp), "-m",
                 machine.memory, "-display", "none", "-serial", "stdio", "-no-reboot", "-accel"] + accelerator + [
                     "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 " + LEAN]
    output = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=limit * qemu.slowness(),
                            check=False).stdout
    begin, end = output.find(b"BEGIN"), output.find(b"END")
    if begin < 0 or end < begin:
        sys.exit("Linux did not run the command:\n" + output[-2000:].decode(errors="replace"))
    return numbers(output[begin:end])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    command = os.environ["HEDDLE_RUN"]
    # Without ERMS and FSRM: the emulator counts each byte of a string copy that uses them as an instruction.
    machine = qemu.Machine(smp=arguments.smp, memory=arguments.memory, icount=arguments.icount, cpu="max,-erms,-fsrm")
    rounds = 1 if arguments.icount else arguments.rounds
    runs = [(run_heddle(machine, command, 300), run_linux(machine, command, 300)) for _ in range(rounds)]
    print("%-24s %14s %14s %8s" % ("", "Heddle", "Linux", "ratio"))
    for name in runs[0][0]:
        heddle, linux = (statistics.median(run[side].get(name, 0) for run in runs) for side in (0, 1))
        pairs = [run[0][name] / run[1][name] for run in runs if run[1].get(name)]
        print("%-24s %14.0f %14.0f %8.2f" % (name, heddle, linux, statistics.median(pairs) if pairs else float("nan")))


if __name__ == "__main__":
    main()
