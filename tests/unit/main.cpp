// SPDX-License-Identifier: MIT
//
// The unit tests' one main. Catch2's implementation is compiled here alone, so that a test file costs only its own
// templates.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
