#!/bin/sh
# SPDX-License-Identifier: MIT
# The text tools: sed, awk, grep, cut, printf, arithmetic of the shell.
seq 1 20 >n; sed -n '3,5p;/1[89]/p' n; sed 's/\(.\)\(.\)/\2\1/' n | tail -n 3; sed '2,$d' n; sed -i 's/^/x/' n; head -n 2 n
awk '{ sum += substr($1, 2) } END { printf "%d %.3f\n", sum, sum / NR }' n; awk -F: '{print $1}' /etc/passwd
awk 'BEGIN { while (i < 5) { a[i] = i * i; i++ } for (j = 0; j < 5; j++) print j, a[j]; print sqrt(2), exp(1), int(-3.7) }'
grep -c 1 n; grep -n 'x2' n; grep -v 1 n | wc -l; grep -E 'x(3|4)$' n; grep -q nothing n || echo "not found"
printf '%5d|%-5s|%05.1f|%x|%o|%c|%%\n' 42 ab 3.14159 255 8 z; printf '%s-' a b c; echo
echo $((7 / 2)) $((-7 % 3)) $((1 << 40)) $((0x1f)) $((3 > 2 && 2 > 1)) $((1 ? 5 : 6))
x=abcdef; echo ${#x} ${x%def} ${x#abc} ${x:-d} ${y:-d} ${y:=e} $y
echo abc | tr a-c A-C; echo aabbcc | tr -s a-c; echo hello | tr -d l; echo hello | rev; echo 'a b  c' | wc -w
expr 3 + 4; expr abc : 'a\(.*\)'; echo '2^64; scale=5; 1/3' | bc; echo '5 k 2 v p' | dc; factor 360
od -A x -t x1z n | head -n 2; hexdump -C n | tail -n 2; echo hi | base64; echo aGkK | base64 -d; cksum n; sha256sum n
date -u -d @1000000000; cal 2 2000; diff n /etc/group | head -n 3; seq 1 3 | paste - - ; fold -w 5 /etc/hostname; nl n | tail -n 1
