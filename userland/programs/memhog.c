// SPDX-License-Identifier: MIT
// `memhog touch|hold|read|write MIB`: a program with so much memory in use. `touch` writes to every page and ends; `hold` keeps it
// all until its standard input ends; `read` fills fresh memory from standard input, in one read(2) as large as it gets; `write`
// touches all and then writes it to standard output.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char** argv) {
    const size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) << 20 : 0;
    if (size == 0) {
        fprintf(stderr, "usage: memhog touch|hold|read|write MIB\n");
        return 2;
    }
    char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("memhog: mmap");
        return 1;
    }
    const int reads = strcmp(argv[1], "read") == 0, writes = strcmp(argv[1], "write") == 0;
    if (!reads) memset(memory, 'x', size);
    char end;
    if (strcmp(argv[1], "hold") == 0 && read(0, &end, 1) < 0) perror("memhog: hold");
    size_t done = 0;
    while ((reads || writes) && done < size) {
        const ssize_t count = reads ? read(0, memory + done, size - done) : write(1, memory + done, size - done);
        if (count == 0) break;
        if (count < 0) {
            perror("memhog");
            return 1;
        }
        done += (size_t)count;
    }
    fprintf(stderr, "memhog: %s %zu MiB\n", argv[1], (reads || writes ? done : size) >> 20);
    return 0;
}
