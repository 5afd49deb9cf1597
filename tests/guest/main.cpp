// SPDX-License-Identifier: MIT
//
// The guest tests' one main. Every other file of this folder becomes one static program: a set of Catch2 test cases
// about the system-call interface. It runs on the host first, whose Linux is the oracle, and then inside.
// Tests fault on purpose, in children and here: signals keep their default actions.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
