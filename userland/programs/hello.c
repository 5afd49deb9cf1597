// SPDX-License-Identifier: MIT
// The least that a program can do: proof that a C program made with musl runs.
#include <stdio.h>

int main(void) {
    puts("hello, world");
    return 0;
}
