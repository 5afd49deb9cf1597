#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines of code by folder: lines that are neither blank nor comment. `--limit N` fails if kernel and arch exceed N.

Counts C, C++ and assembly; a folder of the kernel by itself, everything else by its top folder.
"""

import argparse
import os
import sys

EXTENSIONS = (".cpp", ".hpp", ".c", ".h", ".S", ".def", ".inc")
FOLDERS = ("kernel", "arch", "boot", "userland", "tests")
LIMITED = ("kernel", "arch")


def code_lines(text):
    """Lines with something other than a comment or white space on them. Knows // and /* */, and strings."""
    count = 0
    in_comment = False
    for line in text.split("\n"):
        code = False
        position = 0
        quote = ""
        while position < len(line):
            pair = line[position:position + 2]
            if in_comment:
                if pair == "*/":
                    in_comment = False
                    position += 1
            elif quote:
                if line[position] == "\\":
                    position += 1
                elif line[position] == quote:
                    quote = ""
            elif pair == "//":
                break
            elif pair == "/*":
                in_comment = True
                position += 1
            elif not line[position].isspace():
                code = True
                # A digit separator (1'000) opens no character constant.
                if line[position] == '"' or line[position] == "'" and not line[position - 1:position].isalnum():
                    quote = line[position]
            position += 1
        count += code
    return count


def folder_of(path):
    parts = path.split(os.sep)
    if parts[0] == "kernel" and len(parts) > 2:
        return os.path.join(*parts[:3 if parts[1] in ("mm", "fs") and len(parts) > 3 else 2])
    return os.path.join(*parts[:2]) if parts[0] in ("tests", "userland") and len(parts) > 2 else parts[0]


def count_tree(root):
    """{folder: code lines}."""
    counts = {}
    for top in FOLDERS:
        for parent, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(EXTENSIONS):
                    path = os.path.join(parent, name)
                    with open(path, encoding="utf-8") as file:
                        lines = code_lines(file.read())
                    folder = folder_of(os.path.relpath(path, root))
                    counts[folder] = counts.get(folder, 0) + lines
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    counts = count_tree(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for folder, lines in sorted(counts.items()):
        print("%8d  %s" % (lines, folder))
    limited = sum(lines for folder, lines in counts.items() if folder.split(os.sep)[0] in LIMITED)
    print("%8d  all of %s" % (limited, " and ".join(LIMITED)))
    if arguments.limit and limited > arguments.limit:
        print("more than %d lines" % arguments.limit)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
