# SPDX-License-Identifier: MIT
"""gdb commands for Heddle, loaded by `make debug`. In gdb, `help heddle` lists them.

They read the machine through QEMU's gdb stub: a "thread" of gdb's is a CPU. Nothing here calls into the guest.
"""

import gdb

PAGE_LEVELS = (("PML4", 39), ("PDPT", 30), ("PD", 21), ("PT", 12))
PRESENT, WRITE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 1 << 7, 1 << 63
ADDRESS_MASK = 0x000FFFFFFFFFF000


def read_physical(address, size=8):
    """A little-endian number at a physical address, by QEMU's monitor."""
    unit = {1: "b", 2: "h", 4: "w", 8: "g"}[size]
    line = gdb.execute("monitor xp/1x%s %#x" % (unit, address), to_string=True)
    try:
        return int(line.split(":")[1], 16)
    except ValueError:
        raise gdb.GdbError("no memory at physical %#x" % address) from None


def flags_of(entry):
    return " ".join(name for bit, name in ((WRITE, "writable"), (USER, "user"), (LARGE, "large"),
                                           (NO_EXECUTE, "no-execute"), (1 << 5, "accessed"), (1 << 6, "dirty"),
                                           (1 << 8, "global")) if entry & bit) or "read-only kernel"


class Heddle(gdb.Command):
    """Heddle's own commands."""

    def __init__(self):
        super().__init__("heddle", gdb.COMMAND_USER, prefix=True)


class Walk(gdb.Command):
    """heddle walk ADDRESS: the page-table entries that translate ADDRESS on the selected CPU."""

    def __init__(self):
        super().__init__("heddle walk", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not int(gdb.parse_and_eval("$cr0")) >> 31:
            raise gdb.GdbError("this CPU has paging off")
        address = int(gdb.parse_and_eval(argument)) & (1 << 64) - 1
        table = int(gdb.parse_and_eval("$cr3")) & ADDRESS_MASK
        for name, shift in PAGE_LEVELS:
            index = address >> shift & 511
            entry = read_physical(table + 8 * index)
            print("%-4s[%3d] at %#x: %#018x %s" % (name, index, table + 8 * index, entry,
                                                   flags_of(entry) if entry & PRESENT else "not present"))
            if not entry & PRESENT:
                return
            if name == "PT" or entry & LARGE and name != "PML4":
                offset = address & (1 << shift) - 1
                print("physical %#x" % ((entry & ADDRESS_MASK & ~((1 << shift) - 1)) + offset))
                return
            table = entry & ADDRESS_MASK


class Cpus(gdb.Command):
    """heddle cpus: where every CPU is, with its backtrace."""

    def __init__(self):
        super().__init__("heddle cpus", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        gdb.execute("thread apply all -q backtrace")


class Log(gdb.Command):
    """heddle log [LINES]: the end of the kernel's log (build/kernel.log), 20 lines without a number."""

    def __init__(self):
        super().__init__("heddle log", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        with open("build/kernel.log", encoding="utf-8", errors="replace") as file:
            print("".join(file.readlines()[-(int(argument) if argument else 20):]), end="")


class User(gdb.Command):
    """heddle user NAME: add the symbols of the program build/programs/NAME (or of build/init), to debug it inside."""

    def __init__(self):
        super().__init__("heddle user", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        gdb.execute("add-symbol-file " + ("build/init" if argument == "init" else "build/programs/" + argument))


for command in (Heddle, Walk, Cpus, Log, User):
    command()
gdb.execute("set confirm off")
gdb.execute("set pagination off")
