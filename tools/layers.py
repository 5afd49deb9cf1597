#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check who includes whom: layers, cycles, and which outside headers the kernel uses.

A file includes its own layer and lower ones only. LAYERS lists them from the lowest to the highest, each a set of path
prefixes; a file belongs to the layer of its longest matching prefix. Includes are written from the root, so a path is
all that has to be looked at. The architecture calls up through one header, which stands with its contract.

Also checked: that the architecture's own room reaches no higher than the kernel's core, include cycles between files,
and outside headers against ALLOWED.
"""

import os
import re
import sys

LAYERS = [
    ("abi, lib", ["kernel/abi/", "kernel/lib/"]),
    ("arch contract", ["arch/"]),
    ("core, trace", ["kernel/core/", "kernel/trace/"]),
    ("time, frames, slab", ["kernel/time/", "kernel/mm/phys/", "kernel/mm/slab/"]),
    ("sched", ["kernel/sched/"]),
    ("sync", ["kernel/sync/"]),
    ("vm, page cache", ["kernel/mm/vm/", "kernel/mm/cache/"]),
    ("vfs", ["kernel/fs/vfs/"]),
    ("task", ["kernel/task/"]),
    ("ipc, tty, drivers, file systems", ["kernel/ipc/", "kernel/tty/", "kernel/drivers/", "kernel/fs/tmpfs/",
                                         "kernel/fs/devfs/", "kernel/fs/initramfs/"]),
    ("exec, procfs", ["kernel/task/exec", "kernel/fs/procfs/"]),
    ("syscall, trap", ["kernel/syscall/", "kernel/trap/"]),
    ("main", ["kernel/main.cpp"]),
]

# The architecture's own room is no layer of the kernel's: its files may include these and nothing above.
ARCH_ROOM = ["arch/x86_64/", "boot/"]
ARCH_MAY = ["arch/", "boot/", "kernel/abi/", "kernel/lib/", "kernel/core/"]

# Outside headers: libstdc++'s header-only parts, Boost.Intrusive, and <arch_impl/…>, which the include path chooses.
ALLOWED = set("""
algorithm array atomic bit bitset charconv climits compare concepts cstddef cstdint cstdlib cstring expected functional
initializer_list iterator limits memory new numeric optional ranges ratio source_location span string_view tuple
type_traits utility variant version
""".split())
ALLOWED_PREFIXES = ("boost/intrusive/", "arch_impl/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def layer_of(path):
    """The number of the path's layer, or None."""
    best = (0, None)
    for number, (_, prefixes) in enumerate(LAYERS):
        for prefix in prefixes:
            if path.startswith(prefix):
                best = max(best, (len(prefix), number), key=lambda match: match[0])
    return best[1]


def includes(text):
    """(line number, bracket, name) of each include directive."""
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def check_file(path, text, files):
    """Complaints about one file; `files` are all known paths."""
    in_arch_room = any(path.startswith(room) for room in ARCH_ROOM)
    own = layer_of(path)
    for number, bracket, name in includes(text):
        where = "%s:%d: " % (path, number)
        if bracket == "<":
            if name not in ALLOWED and not name.startswith(ALLOWED_PREFIXES):
                yield where + "<%s> is not among the outside headers that the kernel uses" % name
            continue
        if name not in files:
            yield where + "\"%s\" is not written from the root, or does not exist" % name
            continue
        if in_arch_room:
            if not any(name.startswith(may) for may in ARCH_MAY):
                yield where + "\"%s\" is above the architecture's own room: call up through arch/upcalls.hpp" % name
            continue
        if name.startswith("arch/x86_64/") and not path.startswith("arch/"):
            yield where + "\"%s\" is the architecture's own: use the contract in arch/" % name
            continue
        other = layer_of(name)
        if other is None or own is None:
            yield where + "no layer is known for %s" % (name if other is None else path)
        elif other > own:
            yield where + "\"%s\" (%s) stands above this file (%s)" % (name, LAYERS[other][0], LAYERS[own][0])


def find_cycles(graph):
    """Each include cycle once, as a list of paths that ends where it begins."""
    done, cycles = set(), []

    def visit(node, path):
        if node in path:
            cycles.append(path[path.index(node):] + [node])
            return
        if node in done:
            return
        for other in graph.get(node, ()):
            visit(other, path + [node])
        done.add(node)

    for node in sorted(graph):
        visit(node, [])
    return cycles


def resolve(name, files):
    """The file that an include names: <arch_impl/…> is the architecture's."""
    if name.startswith("arch_impl/"):
        name = "arch/x86_64/" + name
    return name if name in files else None


def check(files):
    """All complaints about {path: text}."""
    complaints = []
    graph = {}
    for path, text in sorted(files.items()):
        complaints += check_file(path, text, files)
        graph[path] = [other for _, _, name in includes(text) if (other := resolve(name, files))]
    complaints += ["include cycle: " + " -> ".join(cycle) for cycle in find_cycles(graph)]
    return complaints


def read_tree(root, folders=("kernel", "arch", "boot")):
    files = {}
    for folder in folders:
        for parent, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".hpp", ".cpp", ".S", ".h", ".def", ".inc")):
                    path = os.path.join(parent, name)
                    with open(path, encoding="utf-8") as file:
                        files[os.path.relpath(path, root)] = file.read()
    return files


def main():
    complaints = check(read_tree(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
