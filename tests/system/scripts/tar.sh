#!/bin/sh
# SPDX-License-Identifier: MIT
# tar, gzip, cpio: what goes in comes out, with modes, links and times.
mkdir -p src/sub; seq 1 5000 >src/numbers; echo '#!/bin/sh' >src/sub/run; chmod 751 src/sub/run; ln -s numbers src/link
ln src/numbers src/sub/hard; touch -d '2001-02-03 04:05:06' src/sub/run; : >src/empty
tar cf a.tar src; tar tf a.tar | sort
mkdir out; tar xf a.tar -C out; diff -r src out/src && echo same
stat -c '%a %F %N' out/src/sub/run out/src/link out/src/empty; date -u -r out/src/sub/run
tar czf a.tgz src; tar tzf a.tgz | wc -l; gunzip -c a.tgz | tar tf - | sort | head -n 2
gzip -c src/numbers | gunzip | cmp - src/numbers && echo unchanged
bzip2 -c src/numbers | bunzip2 | md5sum; xz -d <missing.xz 2>/dev/null || echo "no such file"
(cd src && find . | sort | cpio -o -H newc 2>/dev/null) >a.cpio; mkdir cp; (cd cp && cpio -id <../a.cpio 2>/dev/null)
diff -r src cp && echo same
tar cf - src | (cd cp && tar xf -); diff -r src cp/src && echo same
# (of two links, the archive holds the contents of the one that the directory lists first)
tar cf one.tar src/numbers; tar xf one.tar -O src/numbers | md5sum; tar cf b.tar --exclude sub src; tar tf b.tar | sort
