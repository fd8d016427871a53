// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What kind of character is it? In ASCII: a kernel's log has nothing else in its words.
#pragma once

namespace doctor {

/// True for 0 to 9.
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// True for a letter of the alphabet, large or small.
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// True for what a name or a number has: letters, digits and the underscore.
constexpr bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

/// The value of a hexadecimal digit, large or small; -1 if it is none.
constexpr int hex_value(char c) {
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/// True for a hexadecimal digit, large or small.
constexpr bool is_hex(char c) { return hex_value(c) >= 0; }

} // namespace doctor
