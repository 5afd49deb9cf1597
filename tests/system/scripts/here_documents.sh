#!/bin/sh
# SPDX-License-Identifier: MIT
# Here-documents: expanded, quoted, with tabs taken off, nested, and larger than a pipe holds.
name=world
cat <<END
hello $name $((6 * 7)) `echo back`
END
cat <<'END'
hello $name $((6 * 7)) `echo back`
END
cat <<-END
	without the tab
	END
cat <<A; cat <<B
first
A
second
B
big=$(seq 1 30000)
wc <<END
$big
END
md5sum <<END
$big
END
while read -r line; do echo "<$line>"; done <<END
a b
  c
\d
END
f() { cat; }
f <<END
into a function
END
cat <<END | sort -r
1
2
3
END
