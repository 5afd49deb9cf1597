#!/bin/sh
# SPDX-License-Identifier: MIT
# Descriptors: order of redirections, duplicates, closing, appending, both directions.
echo out >f; echo more >>f; cat f
{ echo to out; echo to err >&2; } >o 2>e; cat o e
{ echo to out; echo to err >&2; } 2>&1 >/dev/null | sed 's/^/piped: /'
exec 3>three; echo on three >&3; exec 3>&-; cat three
exec 4<f; read -r line <&4; echo "$line"; read -r line <&4; echo "$line"; exec 4<&-
echo closed >&4 2>/dev/null || echo "no descriptor 4"
cat <missing 2>/dev/null || echo "missing: $?"
: >empty; [ -s empty ] || echo empty
printf 'abc' >p; printf 'X' 1<>p; cat p; echo
set -C; echo again >f 2>/dev/null || echo "kept"; set +C; cat f
(echo a; echo b >&2) 2>&1 | sort
ls nothing 2>&1
echo $(cat f | wc -l)
