#!/bin/sh
# SPDX-License-Identifier: MIT
# Signals and traps: EXIT, handlers, ignoring, in subshells, interrupting wait.
trap 'echo exit trap of $0' EXIT
trap 'echo got USR1' USR1
kill -USR1 $$
echo after
trap '' TERM
kill -TERM $$; echo "TERM ignored"
sh -c 'kill -TERM $$; echo ignored in the child too'
trap - TERM
(trap 'echo subshell leaves' EXIT; exit 4); echo "$?"
sh -c 'trap "echo interrupted; exit 9" INT; kill -INT $$; echo never'; echo "$?"
trap 'echo woken' USR2
(sleep 0.2; kill -USR2 $$) &
job=$!
wait $job; echo "wait: $(($? > 128))"
wait $job; echo "then: $?"
sh -c 'kill -SEGV $$'; echo "segv: $?"
sh -c 'kill -QUIT $$'; echo "quit: $?"
sh -c 'kill -PIPE $$'; echo "pipe: $?"
sh -c 'ulimit -c 0; kill -ABRT $$'; echo "abrt: $?"
trap
kill -l | head -n 3
kill -l 9
