#!/bin/sh
# SPDX-License-Identifier: MIT
# find over a tree: names, kinds, sizes, depth, pruning, actions.
mkdir -p t/a/b/c t/d; : >t/a/one; echo text >t/a/b/two.txt; seq 1 1000 >t/d/three.txt; ln -s ../a t/d/link
chmod 600 t/a/one; chmod 755 t/d/three.txt
find t | sort
find t -type f | sort; find t -type l; find t -type d | wc -l
find t -name '*.txt' | sort; find t -iname 'ONE'
find t -maxdepth 1 | sort; find t -mindepth 3 | sort
find t -size +1k -type f; find t -empty | sort
find t -perm 600; find t -perm -100 -type f
find t -path '*/b*' -prune -o -type f -print | sort
find t -type f -exec wc -c {} \; | sort -n
find t -type f -exec echo {} + | tr ' ' '\n' | sort
find t -type f -print0 | xargs -0 -n 1 basename | sort
find t -newer t/a/one -name nothing; echo "$?"
find nowhere 2>&1; echo "$?"
find -L t/d -name one | sort
find t -name 'two*' -delete; find t -type f | sort
