#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pack a root file system into a cpio archive ("newc", as initramfs wants it) or lay it out in a folder.

What goes in is said by a specification, one entry a line (`#` begins a comment, `@NAME@` is a --define):

    dir     PATH MODE
    file    PATH MODE SOURCE
    link    PATH TARGET
    applets PATH PROGRAM SOURCE     a link to PROGRAM for each applet that `SOURCE --list-full` names, under PATH
    tree    PATH SOURCE             everything below the folder SOURCE, with its modes

A later entry replaces an earlier one of the same path, so an overlay is a last `tree`. The archive is a function of
its input alone: entries are sorted, owners are root, times are zero.
"""

import argparse
import os
import stat
import subprocess
import sys

ALIGNMENT = 512  # archives are padded to this, so that another can be concatenated behind


class SpecError(Exception):
    pass


class Archive:
    """A set of entries by path (without the leading slash); folders on the way are made as needed."""

    def __init__(self):
        self.entries = {}  # path -> (mode with type, content bytes)

    def add(self, path, mode, content=b""):
        path = path.strip("/")
        if not path:
            return
        if ".." in path.split("/"):
            raise SpecError("a path with '..': " + path)
        parent = os.path.dirname(path)
        if parent and not stat.S_ISDIR(self.entries.get(parent, (0,))[0]):
            self.add(parent, stat.S_IFDIR | 0o755)
        if stat.S_ISDIR(self.entries.get(path, (0,))[0]) and not stat.S_ISDIR(mode):
            below = [other for other in self.entries if other.startswith(path + "/")]
            if below:
                raise SpecError("/%s is a folder with files and cannot be replaced" % path)
        self.entries[path] = (mode, content)

    def add_directory(self, path, mode=0o755):
        self.add(path, stat.S_IFDIR | mode)

    def add_file(self, path, content, mode=0o644):
        self.add(path, stat.S_IFREG | mode, content)

    def add_link(self, path, target):
        self.add(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def add_tree(self, path, source):
        if not os.path.isdir(source):
            raise SpecError("no such folder: " + source)
        for folder, folders, files in os.walk(source):
            for name in sorted(folders + files):
                self._add_existing(os.path.join(folder, name),
                                   os.path.join(path, os.path.relpath(folder, source), name))

    def _add_existing(self, source, path):
        path = os.path.normpath(path)
        status = os.lstat(source)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            self.add_link(path, os.readlink(source))
        elif stat.S_ISDIR(status.st_mode):
            self.add_directory(path, mode)
        elif stat.S_ISREG(status.st_mode):
            with open(source, "rb") as file:
                self.add_file(path, file.read(), mode)
        else:
            raise SpecError("neither file, folder nor symbolic link: " + source)

    def pack(self):
        """The archive's bytes, trailer and padding included."""
        out = []
        records = sorted(self.entries.items()) + [("TRAILER!!!", (0, b""))]
        for number, (path, (mode, content)) in enumerate(records, 1):
            name = os.fsencode(path) + b"\0"
            trailer = path == "TRAILER!!!"
            links = 2 if stat.S_ISDIR(mode) else 1
            fields = (0 if trailer else number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0)
            header = b"070701" + b"".join(b"%08X" % field for field in fields)
            out.append(_padded(header + name, 4))
            out.append(_padded(content, 4))
        return _padded(b"".join(out), ALIGNMENT)

    def lay_out(self, root):
        """Write the entries below the folder `root`. Folders come before what is in them: paths are sorted."""
        os.makedirs(root, exist_ok=True)
        for path, (mode, content) in sorted(self.entries.items()):
            target = os.path.join(root, path)
            if os.path.islink(target) or os.path.isfile(target):
                os.unlink(target)
            if stat.S_ISDIR(mode):
                os.makedirs(target, exist_ok=True)
            elif stat.S_ISLNK(mode):
                os.symlink(os.fsdecode(content), target)
            else:
                with open(target, "wb") as file:
                    file.write(content)
            if not stat.S_ISLNK(mode):
                os.chmod(target, stat.S_IMODE(mode))


def _padded(data, alignment):
    return data + b"\0" * (-len(data) % alignment)


def add_applets(archive, path, program, source):
    listing = subprocess.run([source, "--list-full"], check=True, capture_output=True, text=True).stdout
    for applet in listing.split():
        link = os.path.join(path, applet)
        # /linuxrc is for initial RAM disks of before initramfs.
        if applet != "linuxrc" and link.strip("/") not in archive.entries:
            archive.add_link(link, program)


def read_spec(archive, lines, defines):
    """Add what the specification's lines say; raises SpecError with the line's number."""
    for number, line in enumerate(lines, 1):
        line = line.split("#", 1)[0]
        for name, value in defines.items():
            line = line.replace("@%s@" % name, value)
        fields = line.split()
        if not fields:
            continue
        try:
            add_entry(archive, fields)
        except (SpecError, OSError, ValueError, subprocess.CalledProcessError) as error:
            raise SpecError("line %d: %s" % (number, error)) from error


def add_entry(archive, fields):
    kind, arguments = fields[0], fields[1:]
    counts = {"dir": 2, "file": 3, "link": 2, "applets": 3, "tree": 2}
    if counts.get(kind) != len(arguments):
        raise SpecError("not an entry: " + " ".join(fields))
    if kind == "dir":
        archive.add_directory(arguments[0], int(arguments[1], 8))
    elif kind == "file":
        with open(arguments[2], "rb") as file:
            archive.add_file(arguments[0], file.read(), int(arguments[1], 8))
    elif kind == "link":
        archive.add_link(*arguments)
    elif kind == "applets":
        add_applets(archive, *arguments)
    elif kind == "tree":
        archive.add_tree(*arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spec", required=True)
    parser.add_argument("--define", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--overlay", help="a folder laid over everything else")
    parser.add_argument("--output", help="the archive to write")
    parser.add_argument("--tree", help="a folder to lay the same files out in")
    arguments = parser.parse_args()
    archive = Archive()
    try:
        with open(arguments.spec, encoding="utf-8") as spec:
            read_spec(archive, spec, dict(define.split("=", 1) for define in arguments.define))
        if arguments.overlay:
            archive.add_tree("/", arguments.overlay)
        if arguments.output:
            with open(arguments.output, "wb") as file:
                file.write(archive.pack())
        if arguments.tree:
            archive.lay_out(arguments.tree)
    except (SpecError, OSError) as error:
        sys.exit("mkinitramfs: %s: %s" % (arguments.spec, error))


if __name__ == "__main__":
    main()
