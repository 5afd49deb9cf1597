# SPDX-License-Identifier: MIT
"""Unmodified, dynamically linked programs of the distribution, put into the root file system for the test."""
import os
import re
import shutil
import subprocess

from tests.system import SystemTest

SCRIPT = """
seq 7 | sort -rn | tr '\\n' ' '; echo
total=0; for i in $(seq 50); do total=$((total + i)); done; echo $total
for word in one two three; do (echo $word; sleep 0.01) & done | sort
wait
printf '%s\\n' a:1 b:2 | while IFS=: read -r key value; do echo "$value=$key"; done
trap 'echo caught' USR1; kill -USR1 $$; echo after
declare -A table=([x]=1 [y]=2); echo ${table[x]}${table[y]}
cat <(echo from) <(echo two)
exit 7
"""
PROGRAMS = ["bash", "cat", "seq", "sleep", "sort", "tr"]


def libraries(path):
    """What the dynamic linker would map, itself included."""
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listing)


class ProgramsTest(SystemTest):
    def test_bash_and_coreutils(self):
        files = {}
        for name in PROGRAMS:
            path = shutil.which(name)
            for each in [path] + libraries(path):
                with open(each, "rb") as file:
                    files["/debian/" + name if each == path else each] = file.read()
        files["/debian/script"] = SCRIPT.encode()
        host = subprocess.run(["bash", "-c", SCRIPT], capture_output=True, check=False,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdin=subprocess.DEVNULL)
        for smp in (1, 4):
            with self.subTest(smp=smp):
                outcome = self.boot("export PATH=/debian LC_ALL=C; "
                                    "/debian/bash /debian/script </dev/null", limit=60, smp=smp, status=host.returncode,
                                    extra_files=files)
                self.assert_same_text(outcome.output, host.stdout)
