#!/bin/sh
# SPDX-License-Identifier: MIT
# The shell itself: functions, loops, case, subshells, exec, set, exit statuses, recursion.
f() { local v=$1; [ "$v" -le 1 ] && { echo 1; return; }; echo $((v * $(f $((v - 1))))); }
f 10
case abc.txt in *.c) echo c ;; *.txt) echo text ;; esac
for i in a b c; do for j in 1 2; do [ $j = 2 ] && continue 2; echo $i$j; done; done
until [ "${n:=0}" -ge 3 ]; do n=$((n + 1)); done; echo $n
(cd /; x=inner; exit 6); echo "$? ${x:-unset}"
sh -c 'echo "$0 $1 $#"' zero one two
sh -c 'set -e; false; echo never'; echo "set -e: $?"
sh -c 'set -u; echo $nothing' 2>/dev/null; echo "set -u: $?"
nonexistent 2>&1; echo "$?"; /etc/passwd 2>&1; echo "$?"; /etc 2>&1; echo "$?"
printf '#!/bin/sh\necho script "$@"\n' >s; chmod +x s; ./s a 'b c'; printf '#!/bin/nothing\n' >t; chmod +x t; ./t 2>/dev/null; echo "$?"
printf '\177ELF garbage' >e; chmod +x e; ./e 2>/dev/null; [ $? -ne 0 ] && echo "no program"
(exec echo replaced; echo never); eval 'echo evaluated $((1 + 1))'; set -- p q r; shift; echo "$*"
while getopts ab: o -a -b value; do echo "$o ${OPTARG:-}"; done; type cd | head -n 1; command -v ls
! false && true || echo no; echo "$?"; x=$(exit 3); echo "$?"; : ${z:=default}; echo $z; unset z; echo ${z+set}
env -i A=1 B=2 env | sort; A=3 sh -c 'echo $A'; export C=4; sh -c 'echo $C'; readonly R=1; (R=2) 2>/dev/null; echo "$?"
i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done; echo "$i programs"
hello; forkdemo; hello_cxx
