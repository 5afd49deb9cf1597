#!/bin/sh
# SPDX-License-Identifier: MIT
# What the file system promises: links, modes, names, holes, moves, removal.
umask 022; : >f; mkdir d; stat -c '%a %s %h %F' f d; umask 077; : >g; stat -c %a g; umask 022
chmod 4755 f; stat -c %a f; chmod u-s,g+w f; stat -c %a f
ln f hard; stat -c %h f; echo data >hard; cat f; rm f; cat hard; stat -c %h hard
ln -s hard soft; readlink soft; cat soft; ln -s loop loop; cat loop 2>&1; readlink -f soft | sed 's,.*/,,'
mv hard moved; cat soft 2>&1; mv moved d/; ls d; rmdir d 2>&1; rm -r d; ls
mkdir -p a/b/c; cp -r a e; find e | sort; mv a/b e/c2; find a e | sort; cd e/c2/c && pwd | sed 's,.*/e/,,'; cd ../../..
dd if=/dev/zero of=hole bs=1 count=1 seek=100000 2>/dev/null; stat -c %s hole; md5sum hole; truncate -s 10 hole; od -c hole
touch -d '1999-12-31 23:59:59' old; date -u -r old; [ hole -nt old ] && echo newer
cp /dev/null empty; [ -e empty ] && [ ! -s empty ] && echo empty; test -d e -a -r e && echo folder
echo long >"$(printf 'n%.0s' $(seq 1 255))" && ls | awk 'length > 200 {print length}'
echo long >"$(printf 'n%.0s' $(seq 1 256))" 2>/dev/null || echo "name too long"
: >.hidden; ls; ls -A; echo *; mkdir 'with space'; rmdir 'with space'
(cd /; ls -d /bin /dev /proc /tmp); cd /nowhere 2>&1; rm nothing 2>&1; mkdir e 2>&1; cat e 2>&1
i=0; mkdir many; while [ $i -lt 300 ]; do : >many/$i; i=$((i + 1)); done; ls many | wc -l; rm many/1*; ls many | wc -l; rm -r many
head -c 3000000 /dev/zero | tr '\0' a >big; cmp big big && md5sum big; tail -c 5 big; echo; rm big; ls -l e | sed 's/  */ /g' | cut -d' ' -f1-2
