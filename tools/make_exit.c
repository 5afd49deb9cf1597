// SPDX-License-Identifier: MIT
// A function loaded into GNU make: $(exit-with-status FILE) ends make with the exit status that FILE holds and removes
// FILE. It is for `make run RUN=…`, which ends with the command's own status; make by itself ends with 2 at any failure.
// Nothing else may be under way then: make's own cleaning up is skipped.
#include <gnumake.h>
#include <stdio.h>
#include <stdlib.h>

int plugin_is_GPL_compatible;  // make asks for the symbol; the MIT licence is
int make_exit_gmk_setup(void);

static char* exit_with_status(const char* name, unsigned count, char** arguments) {
    (void)name;
    (void)count;
    int status;
    FILE* file = fopen(arguments[0], "r");
    if (!file) return NULL;
    int read = fscanf(file, "%d", &status);
    fclose(file);
    if (read == 1) {
        remove(arguments[0]);
        exit(status);
    }
    return NULL;
}

int make_exit_gmk_setup(void) {
    gmk_add_function("exit-with-status", exit_with_status, 1, 1, GMK_FUNC_DEFAULT);
    return 1;
}
