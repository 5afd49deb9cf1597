#!/bin/sh
# SPDX-License-Identifier: MIT
# build_toolchain.sh PREFIX: build the bare cross toolchain x86_64-elf (binutils, g++, libgcc, libstdc++'s headers)
# into PREFIX from Debian's binutils-source and gcc-12-source. `make toolchain` calls it with build/toolchain, where the
# Makefile finds it from then on.
#
# A target without an operating system has no C library, but libstdc++'s headers refer to a few C headers (<stdlib.h>,
# <wchar.h>): newlib's, from libnewlib-dev, stand in. None of newlib is linked.
set -eu

target=x86_64-elf
prefix=$(mkdir -p "$1" && cd "$1" && pwd)
jobs=${JOBS:-$(nproc)}
work=$prefix/work
began=$(date +%s)

say() { echo "toolchain: $* ($((($(date +%s) - began) / 60)) min)"; }

# Runs a step with its output in a log of its own; shows the log's end if it fails.
step() {
    name=$1
    shift
    say "$name"
    if ! "$@" >"$work/$name.log" 2>&1; then
        tail -n 30 "$work/$name.log" >&2
        echo "toolchain: $name failed; all it said is in $work/$name.log" >&2
        exit 1
    fi
}

rm -rf "$work"
mkdir -p "$work/binutils" "$work/gcc" "$prefix/$target/include"
export PATH="$prefix/bin:$PATH"

step unpack-binutils tar -C "$work" -xf /usr/src/binutils/binutils-*.tar.xz
step unpack-gcc tar -C "$work" -xf /usr/src/gcc-12/gcc-12*.tar.xz
binutils_source=$(echo "$work"/binutils-*)
gcc_source=$(echo "$work"/gcc-12*)

# Debian's source lacks the manual's files under the GFDL, which the build asks for; this patch of Debian's stops that.
step patch-gcc patch --batch -d "$gcc_source" -p2 -i /usr/src/gcc-12/debian/patches/gcc-gfdl-build.diff

cd "$work/binutils"
step configure-binutils "$binutils_source/configure" --target=$target --prefix="$prefix" --disable-nls \
    --disable-werror --disable-gdb --disable-gprofng --with-sysroot
step build-binutils make -j"$jobs" MAKEINFO=true
step install-binutils make install MAKEINFO=true

cp -R /usr/include/newlib/. "$prefix/$target/include/"
cd "$work/gcc"
# The kernel's interrupt handlers run on the stack that they interrupt: no red zone in libgcc either. It is built as
# position-independent code, which runs in the kernel's upper 2 GiB without -mcmodel=kernel.
step configure-gcc "$gcc_source/configure" --target=$target --prefix="$prefix" --enable-languages=c,c++ \
    --disable-nls --disable-multilib --disable-threads --disable-shared --disable-bootstrap --disable-libssp \
    --disable-libquadmath --disable-lto --disable-plugin --with-newlib --enable-checking=release \
    CFLAGS_FOR_TARGET="-O2 -mno-red-zone" CXXFLAGS_FOR_TARGET="-O2 -mno-red-zone"
step build-gcc make -j"$jobs" MAKEINFO=true all-gcc
step install-gcc make MAKEINFO=true install-gcc
step build-libgcc make -j"$jobs" all-target-libgcc
step install-libgcc make install-target-libgcc
step configure-libstdc++ make configure-target-libstdc++-v3
step install-libstdc++-headers make -C "$target/libstdc++-v3/include" install
step install-libsupc++-headers make -C "$target/libstdc++-v3/libsupc++" install-stdHEADERS install-bitsHEADERS

# What it is for: a translation unit with the headers that the kernel uses.
cat >"$work/check.cpp" <<'END'
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
std::expected<int, int> f(std::span<const int> numbers) {
    if (numbers.empty()) return std::unexpected(1);
    return numbers[0];
}
END
step check "$prefix/bin/$target-g++" -std=gnu++23 -ffreestanding -fno-exceptions -fno-rtti -mno-red-zone \
    -mgeneral-regs-only -mcmodel=kernel -O2 -c "$work/check.cpp" -o "$work/check.o"
cd "$prefix"
rm -rf "$work"
say "done: $prefix/bin/$target-g++"
