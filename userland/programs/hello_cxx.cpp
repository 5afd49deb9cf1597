// SPDX-License-Identifier: MIT
// The same with the C++ library of the distribution: static initialisers, exceptions and the heap at work.
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {
const std::string g_greeting = "hello";  // made before main
}

int main() {
    const std::vector<std::string> words = {g_greeting, "from", "C++"};
    try {
        const auto index = std::make_unique<std::size_t>(words.size());
        std::cout << words.at(*index);
    } catch (const std::out_of_range&) {
        for (const auto& word : words) std::cout << word << (&word == &words.back() ? "\n" : " ");
    }
}
