// SPDX-License-Identifier: MIT
#include "kernel/lib/format.hpp"

#include <algorithm>
#include <cstring>

namespace hd {

void BufferSink::put(std::string_view text) {
    const usize fits = std::min(text.size(), buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, text.data(), fits);
    used_ += fits;
    truncated_ |= fits < text.size();
}

namespace detail {
namespace {

// What stands between the colon and the closing brace.
struct Specification {
    bool left = false;
    bool zero = false;
    bool prefix = false;
    usize width = 0;
    char type = 0;
};

Specification parse(std::string_view text) {
    Specification spec;
    for (const char c : text) {
        if (c == ':') continue;
        if (c == '<')
            spec.left = true;
        else if (c == '#')
            spec.prefix = true;
        else if (c == '0' && spec.width == 0)
            spec.zero = true;
        else if (c >= '0' && c <= '9')
            spec.width = spec.width * 10 + static_cast<usize>(c - '0');
        else
            spec.type = c;
    }
    return spec;
}

void put_repeated(TextSink& sink, char c, usize count) {
    for (; count > 0; --count) sink.put({&c, 1});
}

void put_padded(TextSink& sink, const Specification& spec, std::string_view prefix, std::string_view body) {
    const usize length = prefix.size() + body.size();
    const usize padding = spec.width > length ? spec.width - length : 0;
    if (!spec.left && !spec.zero) put_repeated(sink, ' ', padding);
    sink.put(prefix);
    if (!spec.left && spec.zero) put_repeated(sink, '0', padding);
    sink.put(body);
    if (spec.left) put_repeated(sink, ' ', padding);
}

void put_number(TextSink& sink, const Specification& spec, const FormatArgument& argument) {
    const bool pointer = argument.kind == FormatArgument::Kind::Pointer;
    const bool hex = pointer || spec.type == 'x';
    const u64 base = hex ? 16 : spec.type == 'o' ? 8 : 10;
    const bool negative =
        argument.kind == FormatArgument::Kind::Signed && static_cast<i64>(argument.number) < 0 && !hex;
    u64 rest = negative ? ~argument.number + 1 : argument.number;

    char digits[24];
    usize start = sizeof digits;
    do {
        digits[--start] = "0123456789abcdef"[rest % base];
        rest /= base;
    } while (rest != 0);
    const std::string_view prefix = negative ? "-" : (hex && (spec.prefix || pointer)) ? "0x" : "";
    put_padded(sink, spec, prefix, {digits + start, sizeof digits - start});
}

void put_argument(TextSink& sink, const Specification& spec, const FormatArgument& argument) {
    switch (argument.kind) {
    case FormatArgument::Kind::Text: put_padded(sink, spec, "", argument.text); break;
    case FormatArgument::Kind::Character: {
        const char c = static_cast<char>(argument.number);
        put_padded(sink, spec, "", {&c, 1});
        break;
    }
    default: put_number(sink, spec, argument);
    }
}

}  // namespace

void format_arguments(TextSink& sink, std::string_view format, FormatArguments arguments) {
    const FormatArgument* next = arguments.begin();
    while (!format.empty()) {
        const usize brace = format.find_first_of("{}");
        sink.put(format.substr(0, brace));
        if (brace == std::string_view::npos) return;
        const char c = format[brace];
        format.remove_prefix(brace + 1);
        if (!format.empty() && format.front() == c) {  // a doubled brace is the brace itself
            sink.put({&c, 1});
            format.remove_prefix(1);
            continue;
        }
        const usize end = format.find('}');
        if (c == '}' || end == std::string_view::npos || next == arguments.end()) return;
        put_argument(sink, parse(format.substr(0, end)), *next++);
        format.remove_prefix(end + 1);
    }
}

}  // namespace detail
}  // namespace hd
