// SPDX-License-Identifier: MIT
// Text formatting with type-safe arguments: format_to(sink, "{} pages at {:#x}", count, address).
// Placeholders: {} or {:[<][0][#][width][x|o|c]} - `<` aligns left, `0` pads with zeros, `#` adds 0x. Integers, strings,
// bool, pointers, and the strong types of types.hpp. The number of placeholders is checked at compile time.
// Allocates nothing, takes no lock: any context.
#pragma once
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/abi/errno.hpp"
#include "kernel/lib/types.hpp"

namespace hd {

// Where formatted characters go.
class TextSink {
public:
    virtual void put(std::string_view text) = 0;

protected:
    ~TextSink() = default;
};

// A sink over a fixed buffer; what does not fit is dropped and `truncated` says so.
class BufferSink final : public TextSink {
public:
    explicit BufferSink(std::span<char> buffer) : buffer_(buffer) {}
    void put(std::string_view text) override;
    std::string_view view() const { return {buffer_.data(), used_}; }
    bool truncated() const { return truncated_; }

private:
    std::span<char> buffer_;
    usize used_ = 0;
    bool truncated_ = false;
};

namespace detail {

struct FormatArgument {
    enum class Kind : u8 { Signed, Unsigned, Pointer, Text, Character } kind;
    u64 number = 0;
    std::string_view text{};

    constexpr FormatArgument(bool value) : kind(Kind::Text), text(value ? "true" : "false") {}
    constexpr FormatArgument(char value) : kind(Kind::Character), number(static_cast<u8>(value)) {}
    template <class T>
    requires std::is_integral_v<T>
    constexpr FormatArgument(T value)
        : kind(std::is_signed_v<T> ? Kind::Signed : Kind::Unsigned), number(static_cast<u64>(value)) {}
    template <class T>
    requires std::is_enum_v<T>
    constexpr FormatArgument(T value) : FormatArgument(static_cast<std::underlying_type_t<T>>(value)) {}
    template <class Tag, class Rep>
    constexpr FormatArgument(Strong<Tag, Rep> value) : FormatArgument(value.raw) {}
    constexpr FormatArgument(PhysAddr value) : kind(Kind::Pointer), number(value.raw) {}
    constexpr FormatArgument(VirtAddr value) : kind(Kind::Pointer), number(value.raw) {}
    FormatArgument(const void* value) : kind(Kind::Pointer), number(reinterpret_cast<u64>(value)) {}
    constexpr FormatArgument(std::string_view value) : kind(Kind::Text), text(value) {}
    constexpr FormatArgument(const char* value) : kind(Kind::Text), text(value) {}
};

consteval usize count_placeholders(std::string_view format) {
    usize count = 0;
    for (usize i = 0; i < format.size(); ++i) {
        if (format[i] != '{') continue;
        if (i + 1 < format.size() && format[i + 1] == '{')
            ++i;
        else
            ++count;
    }
    return count;
}

void placeholders_and_arguments_differ_in_number();  // not constexpr: a call in a consteval function is an error

using FormatArguments = std::initializer_list<FormatArgument>;
void format_arguments(TextSink& sink, std::string_view format, FormatArguments arguments);

}  // namespace detail

// A format string whose placeholders match the arguments in number, or the program does not compile.
template <class... Arguments> struct FormatString {
    template <usize N> consteval FormatString(const char (&literal)[N]) : text(literal, N - 1) {
        if (detail::count_placeholders(text) != sizeof...(Arguments))
            detail::placeholders_and_arguments_differ_in_number();
    }
    std::string_view text;
};

template <class... Arguments>
void format_to(TextSink& sink, FormatString<std::type_identity_t<Arguments>...> format, const Arguments&... arguments) {
    detail::format_arguments(sink, format.text, {arguments...});
}

}  // namespace hd
