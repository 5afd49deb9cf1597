#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn `nm -C` of a kernel into the assembly of its symbol table for in-kernel backtraces.

The table, in .rodata, sorted by address:
    kernel_symbols          {u32 offset from the kernel's base, u32 offset into kernel_symbol_names} an entry
    kernel_symbol_count     u32, how many entries
    kernel_symbol_names     the names, each ended by a zero byte

Only text symbols are listed, so that the table, which is linked behind the text, never moves what it names.
Parameter lists are cut off: a backtrace needs the function, and the table stays small.
"""

import argparse
import sys

KERNEL_BASE = 0xFFFFFFFF80000000
MAX_NAME = 120


def without_parameters(name):
    """`hd::f(int) const` -> `hd::f`; keeps `(anonymous namespace)`, `operator()`, and parentheses in templates."""
    depth = 0
    position = 0
    while position < len(name):
        for whole in ("(anonymous namespace)", "operator()", "operator<<", "operator<=>", "operator<=", "operator<",
                      "operator->", "operator>>", "operator>=", "operator>"):
            if name.startswith(whole, position):
                position += len(whole)
                break
        else:
            if name[position] == "<":
                depth += 1
            elif name[position] == ">":
                depth -= 1
            elif name[position] == "(" and depth == 0:
                return name[:position]
            position += 1
    return name


def read_symbols(lines):
    """The text symbols of `nm -C` as sorted (offset, name); of several names for one address, the first by name."""
    symbols = {}
    for line in lines:
        fields = line.rstrip("\n").split(" ", 2)
        if len(fields) != 3 or fields[1] not in "tTwW" or not fields[0]:
            continue
        offset = int(fields[0], 16) - KERNEL_BASE
        name = without_parameters(fields[2])[:MAX_NAME]
        if not 0 <= offset < 1 << 31 or not name or name.startswith("."):
            continue
        symbols[offset] = min(name, symbols.get(offset, name))
    return sorted(symbols.items())


def assembly(symbols):
    out = [".section .rodata.kernel_symbols, \"a\"", ".balign 8",
           ".global kernel_symbol_count, kernel_symbols, kernel_symbol_names",
           "kernel_symbol_count: .long %d" % len(symbols), "kernel_symbols:"]
    position = 0
    for offset, name in symbols:
        out.append("  .long %#x, %d" % (offset, position))
        position += len(name.encode()) + 1
    out.append("kernel_symbol_names:")
    for _, name in symbols:
        out.append("  .asciz \"%s\"" % name.replace("\\", "\\\\").replace("\"", "\\\""))
    out.append("  .byte 0")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--empty", action="store_true", help="write an empty table (for the first link)")
    arguments = parser.parse_args()
    sys.stdout.write(assembly([] if arguments.empty else read_symbols(sys.stdin)))


if __name__ == "__main__":
    main()
