// SPDX-License-Identifier: GPL-2.0-only
// Which key types which character, and keys that wait.
#include "keyboard.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace vtx;

namespace {

/// The keys of a US keyboard by the numbers that IBM gave them (scan code set 1): rows from the top
/// left, each with the number of its first key.
std::map<char, std::uint8_t> us_keyboard() {
    struct Row {
        std::uint8_t first;
        std::string alone, with_shift;
    };
    const Row rows[] = {
        {0x02, "1234567890-=", "!@#$%^&*()_+"},
        {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
        {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
        {0x2b, "\\", "|"},
        {0x2c, "zxcvbnm,./", "ZXCVBNM<>?"},
        {0x39, " ", " "},
        {0x01, "\x1b", "\x1b"}, // Esc
        {0x0e, "\b\t", "\b\t"}, // Backspace and Tab
        {0x1c, "\r", "\r"},     // Enter
    };
    std::map<char, std::uint8_t> codes;
    for (const Row &row : rows)
        for (std::size_t i = 0; i < row.alone.size(); i++)
            codes[row.alone[i]] = codes[row.with_shift[i]] =
                static_cast<std::uint8_t>(row.first + i);
    return codes;
}

/// What a guest reads that takes all keys.
std::vector<unsigned> take_all(Keyboard &keyboard) {
    std::vector<unsigned> keys;
    for (; !keyboard.empty(); keyboard.take())
        keys.push_back(keyboard.next());
    return keys;
}

} // namespace

TEST(ScanCode, EachCharacterHasItsKey) {
    const std::map<char, std::uint8_t> codes = us_keyboard();
    for (int c = -128; c < 128; c++) {
        const auto found = codes.find(static_cast<char>(c));
        EXPECT_EQ(scan_code(static_cast<char>(c)), found == codes.end() ? 0 : found->second) << c;
    }
    for (char c = ' '; c <= '~'; c++)
        EXPECT_NE(scan_code(c), 0) << c << " is printable, so there is a key for it";
}

TEST(Keyboard, KeysComeInTheirOrderAsABiosTellsThem) {
    Keyboard keyboard{};
    EXPECT_TRUE(keyboard.empty());
    keyboard.type("a\\rB ");
    EXPECT_EQ(keyboard.next(), 0x1e61) << "to look takes no key";
    EXPECT_EQ(take_all(keyboard), (std::vector<unsigned>{0x1e61, 0x1c0d, 0x3042, 0x3920}));
    EXPECT_TRUE(keyboard.empty());
}

TEST(Keyboard, ABackslashIsItselfUnlessRFollows) {
    Keyboard keyboard{};
    keyboard.type("\\n\\\\r\\");
    EXPECT_EQ(take_all(keyboard), (std::vector<unsigned>{0x2b5c, 0x316e, 0x2b5c, 0x1c0d, 0x2b5c}));
}

TEST(Keyboard, TypingStartsAnew) {
    Keyboard keyboard{};
    keyboard.type("abc");
    keyboard.take();
    keyboard.type("d");
    EXPECT_EQ(take_all(keyboard), (std::vector<unsigned>{0x2064}));
    keyboard.type("");
    EXPECT_TRUE(keyboard.empty());
}

TEST(Keyboard, WhatIsBeyondTheLimitIsNotTyped) {
    // On the heap, where the sanitizer sees a key behind the last one.
    const auto keyboard = std::make_unique<Keyboard>();
    keyboard->type(std::string(Keyboard::limit + 44, 'x').c_str());
    EXPECT_EQ(take_all(*keyboard), std::vector<unsigned>(Keyboard::limit, 0x2d78));
    keyboard->type((std::string(Keyboard::limit - 1, 'x') + "\\r\\r").c_str());
    const std::vector<unsigned> keys = take_all(*keyboard);
    EXPECT_EQ(keys.size(), Keyboard::limit);
    EXPECT_EQ(keys.back(), 0x1c0du);
}
