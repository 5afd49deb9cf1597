# SPDX-License-Identifier: MIT
"""The tools that the build itself runs: the archive packer and the symbol table."""
import os
import stat
import subprocess
import tempfile
import unittest

from tests.tools import ROOT  # noqa: F401  (puts tools/ on the path)

import compile_commands
import mkinitramfs
import symbols


class InitramfsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def test_entries_and_modes(self):
        self.write("tree/sub/run", "#!", 0o755)
        os.symlink("run", self.path("tree/sub/link"))
        self.write("one", "1")
        archive = mkinitramfs.Archive()
        mkinitramfs.read_spec(archive, ["dir /tmp 1777  # sticky", "file /etc/one 0600 @HERE@/one",
                                        "link /bin/sh busybox", "tree / @HERE@/tree", ""],
                              {"HERE": self.folder.name})
        modes = {path: mode for path, (mode, _) in archive.entries.items()}
        self.assertEqual(modes["tmp"], stat.S_IFDIR | 0o1777)
        self.assertEqual(modes["etc"], stat.S_IFDIR | 0o755)
        self.assertEqual(modes["etc/one"], stat.S_IFREG | 0o600)
        self.assertEqual(modes["sub/run"], stat.S_IFREG | 0o755)
        self.assertEqual(archive.entries["bin/sh"], (stat.S_IFLNK | 0o777, b"busybox"))
        self.assertEqual(archive.entries["sub/link"][1], b"run")

    def test_later_entries_replace_earlier_ones(self):
        archive = mkinitramfs.Archive()
        archive.add_link("/bin/hello", "busybox")
        archive.add_file("bin/hello", b"x", 0o755)
        self.assertEqual(archive.entries["bin/hello"], (stat.S_IFREG | 0o755, b"x"))
        with self.assertRaises(mkinitramfs.SpecError):
            archive.add_file("/bin", b"")

    def test_the_packed_bytes_are_an_archive_and_always_the_same(self):
        def pack(order):
            archive = mkinitramfs.Archive()
            for name in order:
                archive.add_file(name, name.encode() * 3)
            return archive.pack()
        packed = pack(["/a/b", "/c"])
        self.assertEqual(packed, pack(["/c", "/a/b"]))
        self.assertEqual(len(packed) % mkinitramfs.ALIGNMENT, 0)
        subprocess.run(["busybox", "cpio", "-idm"], input=packed, cwd=self.folder.name, check=True,
                       capture_output=True)
        with open(self.path("a/b"), encoding="ascii") as file:
            self.assertEqual(file.read(), "/a/b" * 3)

    def test_lay_out_gives_the_same_tree(self):
        archive = mkinitramfs.Archive()
        archive.add_file("/x/y", b"z", 0o750)
        archive.add_link("/x/l", "y")
        for _ in range(2):  # the second time over the first
            archive.lay_out(self.path("root"))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("root/x/y")).st_mode), 0o750)
        self.assertEqual(os.readlink(self.path("root/x/l")), "y")

    def test_errors_name_the_line(self):
        for bad in ("file /a", "dir /a 9", "nothing", "tree / /nowhere/at/all", "dir /a/../b 0755"):
            with self.assertRaisesRegex(mkinitramfs.SpecError, "^line 2: "):
                mkinitramfs.read_spec(mkinitramfs.Archive(), ["dir /ok 0755", bad], {})


class SymbolsTest(unittest.TestCase):
    def test_parameters_are_cut_off(self):
        for name, short in (("hd::f(int, char const*)", "hd::f"), ("hd::(anonymous namespace)::g() const",
                                                                   "hd::(anonymous namespace)::g"),
                            ("hd::C::operator()(int)", "hd::C::operator()"), ("h<void (*)(int)>::i(int)",
                                                                              "h<void (*)(int)>::i"),
                            ("operator<(a, b)", "operator<"), ("plain", "plain")):
            self.assertEqual(symbols.without_parameters(name), short)

    def test_text_symbols_sorted_one_an_address(self):
        found = symbols.read_symbols(["ffffffff80100010 T b()\n", "ffffffff80100000 t a\n", "0000000000100000 T low\n",
                                      "ffffffff80100010 W aa\n", "ffffffff80200000 D data\n", "   U undefined\n"])
        self.assertEqual(found, [(0x100000, "a"), (0x100010, "aa")])

    def test_the_table_assembles(self):
        text = symbols.assembly([(0x10, "a"), (0x20, 'b"\\')])
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(["gcc", "-c", "-x", "assembler", "-", "-o", os.path.join(folder, "o")],
                                    input=text, text=True, capture_output=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


class CompileCommandsTest(unittest.TestCase):
    def test_each_source_gets_its_set(self):
        found = list(compile_commands.entries(["--set", "g++ -O2 -fstack-usage", "a.cpp", "--set", "cc", "b.c"], "/f"))
        self.assertEqual([(entry["file"], entry["arguments"]) for entry in found],
                         [("a.cpp", ["g++", "-O2", "-c", "a.cpp"]), ("b.c", ["cc", "-c", "b.c"])])


if __name__ == "__main__":
    unittest.main()
