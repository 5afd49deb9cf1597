#!/bin/sh
# SPDX-License-Identifier: MIT
# Process state as far as it does not depend on who else runs: /proc/self, ids, groups, limits.
cut -d' ' -f2 /proc/self/stat; tr '\0' ' ' </proc/self/cmdline; echo
sh -c 'grep -E "^(Name|State|Uid|Gid|Threads):" /proc/self/status' | head -n 1
readlink /proc/self/exe; readlink /proc/self/cwd | sed 's,.*/,,'; ls /proc/self/fd | head -n 3
sh -c '[ $PPID -ne $$ ] && echo "a parent of its own"'; id -u; id -un; whoami
exec 2>/dev/null # whether the shell says "Terminated" depends on when it looks
sleep 50 & p=$!; sleep 0.3; cat /proc/$p/comm; cut -d' ' -f3 /proc/$p/stat; kill -STOP $p; sleep 0.2; cut -d' ' -f3 /proc/$p/stat
kill -CONT $p; kill $p; wait $p; ls /proc/$p 2>/dev/null; echo "gone: $?"
ps -o pid,comm | awk 'NR == 1 {print} $2 == "ps" {print $2}'; pidof nothing_like_this; echo "$?"
uname -s | tr -d '\n' | wc -c; umask
sh -c 'sleep 0.1; exit 3' & wait; jobs; sh -c 'kill -9 $$'; echo $?
setsid sh -c 'echo in a session of its own'; head -c 16 /dev/urandom | wc -c; : </dev/tty && echo "a terminal"; tty -s && echo tty
mkdir m; hostname >/dev/null; date +%Y | wc -c; usleep 1000; test -c /dev/null && test -c /dev/zero && echo devices
grep -c processor /proc/cpuinfo >/dev/null && awk '$1 == "MemTotal:" {print ($2 > 1000)}' /proc/meminfo; cut -d' ' -f1 /proc/uptime | wc -l
