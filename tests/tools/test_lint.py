# SPDX-License-Identifier: MIT
"""The checks of `make lint` that are the project's own."""
import os
import tempfile
import unittest

from tests.tools import ROOT  # noqa: F401  (puts tools/ on the path)

import layers
import lint
import loc


class LayersTest(unittest.TestCase):
    def complaints(self, **texts):
        """Check files named like kernel__lib__a_hpp; a file that is only included may be empty."""
        return layers.check({name.replace("__", "/").replace("_hpp", ".hpp").replace("_cpp", ".cpp"): text
                             for name, text in texts.items()})

    def test_downward_is_good(self):
        self.assertEqual(self.complaints(kernel__lib__a_hpp="#include <span>\n",
                                         kernel__sched__b_hpp='#include "kernel/lib/a.hpp"\n'), [])

    def test_upward_is_not(self):
        found = self.complaints(kernel__lib__a_hpp='#include "kernel/sched/b.hpp"\n', kernel__sched__b_hpp="")
        self.assertEqual(len(found), 1)
        self.assertIn("kernel/lib/a.hpp:1: ", found[0])
        self.assertIn("stands above", found[0])

    def test_longest_prefix_says_the_layer(self):
        self.assertEqual(len(self.complaints(kernel__fs__vfs__a_hpp='#include "kernel/fs/procfs/b.hpp"\n',
                                             kernel__fs__procfs__b_hpp="")), 1)

    def test_arch_room_calls_up_through_upcalls(self):
        files = {"arch/x86_64/trap.cpp": '#include "arch/upcalls.hpp"\n#include "kernel/sched/b.hpp"\n',
                 "arch/upcalls.hpp": "", "kernel/sched/b.hpp": ""}
        self.assertEqual(len(layers.check(files)), 1)

    def test_kernel_uses_the_contract(self):
        files = {"arch/x86_64/apic.hpp": "", "kernel/main.cpp": '#include "arch/x86_64/apic.hpp"\n'}
        self.assertEqual(len(layers.check(files)), 1)

    def test_outside_headers(self):
        found = self.complaints(kernel__lib__a_hpp="#include <vector>\n#include <boost/intrusive/list.hpp>\n")
        self.assertEqual(len(found), 1)
        self.assertIn("<vector>", found[0])

    def test_cycles_also_through_arch_impl(self):
        files = {"arch/cpu.hpp": "#include <arch_impl/cpu.hpp>\n",
                 "arch/x86_64/arch_impl/cpu.hpp": '#include "arch/cpu.hpp"\n'}
        self.assertEqual(layers.check(files),
                         ["include cycle: arch/cpu.hpp -> arch/x86_64/arch_impl/cpu.hpp -> arch/cpu.hpp"])

    def test_relative_includes(self):
        self.assertIn("from the root", self.complaints(kernel__lib__a_hpp='#include "b.hpp"\n',
                                                       kernel__lib__b_hpp="")[0])


class LocTest(unittest.TestCase):
    def test_comments_and_blank_lines_do_not_count(self):
        self.assertEqual(loc.code_lines("// a\n\nint x;  // b\n/* c\n d */ int y;\n  /* e */\n"), 2)

    def test_strings_hide_comment_signs(self):
        self.assertEqual(loc.code_lines('f("/*");\nint a;\nchar c = \'"\'; // "\nint b = 1\'000; /* x\n*/'), 4)

    def test_folders(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("kernel/mm/vm/a.cpp", "kernel/lib/b.hpp", "kernel/main.cpp", "arch/x86_64/c.S"):
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="ascii") as file:
                    file.write("int x;\n")
            self.assertEqual(loc.count_tree(root), {"kernel/mm/vm": 1, "kernel/lib": 1, "kernel": 1, "arch": 1})


class FramesTest(unittest.TestCase):
    def test_large_and_unbounded_frames(self):
        text = "a.cpp:1:1:f\t1024\tstatic\nb.cpp:2:1:g\t1032\tstatic\nc.cpp:3:1:h\t16\tdynamic\n" \
               "d.cpp:4:1:i\t16\tdynamic,bounded\n"
        found = list(lint.large_frames(text, 1024))
        self.assertEqual([line.split(":")[0] for line in found], ["b.cpp", "c.cpp"])


if __name__ == "__main__":
    unittest.main()
