#!/bin/sh
# SPDX-License-Identifier: MIT
# sort, uniq, comm-like work on text, numbers and keys, small and large.
printf '%s\n' pear apple fig banana >w; sort w; sort -r w
printf '%s\n' 10 9 2 33 1 | sort; printf '%s\n' 10 9 2 33 1 | sort -n
printf '%s\n' 'b 2' 'a 10' 'c 1' | sort -k 2 -n; printf '%s\n' 'x:3' 'y:1' 'z:2' | sort -t: -k2
printf '%s\n' a b a c b a | sort | uniq -c | sort -rn; printf '%s\n' a b a | sort -u
printf '%s\n' 1K 2M 512 | sort -h
awk 'BEGIN { s = 12345; for (i = 0; i < 50000; i++) { s = (s * 1103515245 + 12345) % 2147483648; print s } }' >n
sort n | md5sum; sort -n n | md5sum; sort -rn n | head -n 5; sort n | sort -c && echo sorted
sort -n n | uniq | wc -l
cut -c 1-3 n | sort | uniq -c | sort -rn | head -n 3
shuf -i 1-100 | sort -n | md5sum
tr 0-9 a-j <n | rev | sort | head -n 3
