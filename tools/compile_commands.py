#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write compile_commands.json: `compile_commands.py OUTPUT --set COMMAND SOURCE... --set COMMAND SOURCE...`.

Each source is compiled by its set's command. Flags that clang lacks, or refuses libstdc++'s headers for, are left out:
the readers are clang's tools.
"""

import json
import os
import shlex
import sys

NOT_FOR_CLANG = {"-mgeneral-regs-only", "-fno-asynchronous-unwind-tables", "-fstack-usage", "-Wno-maybe-uninitialized"}


def entries(arguments, folder):
    command = []
    for argument in arguments:
        if command == ["--set"]:
            command = [word for word in shlex.split(argument) if word not in NOT_FOR_CLANG]
        elif argument == "--set":
            command = ["--set"]
        else:
            yield {"directory": folder, "file": argument, "arguments": command + ["-c", argument]}


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as output:
        json.dump(list(entries(sys.argv[2:], os.getcwd())), output, indent=1)
        output.write("\n")


if __name__ == "__main__":
    main()
