#!/bin/sh
# SPDX-License-Identifier: MIT
# Pipelines: order, statuses, SIGPIPE, much data, and many at once.
echo one two three | tr ' ' '\n' | sort | paste -s -d, -
seq 1 20000 | grep 7 | wc -l
seq 1 100000 | md5sum
yes | head -n 3
yes 0123456789abcdef | head -c 1000000 | md5sum
(exit 3) | (exit 5)
echo "status of the last: $?"
dd if=/dev/zero bs=4096 count=512 2>/dev/null | tr '\0' x | fold -w 64 | wc
printf 'no newline' | cat
echo
for i in 1 2 3 4 5 6 7 8; do
    seq 1 "$i"000 | sed 's/$/ x/' | awk '{s += $1} END {print s}'
done
a=$(echo nested $(echo inside $(echo deeper)))
echo "$a"
echo "a:b:c" | { IFS=: read -r x y z; echo "$z $y $x"; }
seq 1 10 | while read -r n; do [ $((n % 3)) -eq 0 ] && echo "$n"; done | tac
cat /dev/null | wc -c
seq 5 | tee copy | tail -n 1
cat copy | xargs echo
seq 1 12 | xargs -n 5 echo row
mkfifo channel
(echo through a fifo >channel) &
cat channel
wait
