#!/bin/sh
# SPDX-License-Identifier: MIT
# Background jobs: waiting, statuses, kill, many at once. Whether the shell says
# "Terminated" depends on when it looks: its messages are dropped.
exec 2>/dev/null
sleep 0.1 & wait $!; echo "slept: $?"
(exit 7) & wait $!; echo "status: $?"
sleep 100 & kill $!; wait $!; echo "terminated: $?"
sleep 100 & kill -9 $!; wait $!; echo "killed: $?"
sleep 100 & kill -STOP $!; kill -CONT $!; kill -INT $!; kill $!; wait $!; echo "stopped, continued, ended: $?"
i=0
while [ $i -lt 50 ]; do
    (echo $i >job.$i) &
    i=$((i + 1))
done
wait
cat job.* | sort -n | md5sum
for n in 3 1 2; do (sleep 0.$n; echo "job $n") & done
wait
kill -0 $$ && echo "alive"
kill -0 999999 2>/dev/null || echo "nobody there"
{ sleep 0.2; echo slow; } & { echo fast; }
wait
timeout 1 sleep 100; echo "timed out: $?"
timeout 5 true; echo "in time: $?"
(sleep 0.1 & wait; echo grandchild waited)
