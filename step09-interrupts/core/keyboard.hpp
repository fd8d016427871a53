// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's keyboard: what the parameter `keys` has somebody type.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtx {

/// The number of the key that types an ASCII character on a US keyboard; 0 if there is none.
constexpr std::uint8_t scan_code(char c) {
    // The number of a key is its place in these rows: alone, and with Shift. 0: no character.
    constexpr std::uint8_t keys = 58;
    constexpr char rows[2][keys + 1] = {
        "\0\x1b"
        "1234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0\0\0 ",
        "\0\x1b!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?"};
    for (const auto &row : rows)
        for (std::uint8_t key = 1; key < keys; key++)
            if (row[key] == c && c != '\0')
                return key;
    return 0;
}

/// Keys that wait to be read.
class Keyboard {
public:
    static constexpr std::size_t limit = 256; ///< Of keys, and of characters that type() takes.

    /// Somebody types `text`: printable ASCII, and `\r` for the key Enter.
    void type(const char *text) {
        size_ = taken_ = 0;
        for (; *text != '\0' && size_ < limit; text++) {
            const bool enter = text[0] == '\\' && text[1] == 'r';
            keys_[size_++] = enter ? '\r' : *text;
            text += enter ? 1 : 0;
        }
    }

    /// True if no key waits.
    bool empty() const { return taken_ == size_; }

    /// The next key as a BIOS tells it: its number in the upper byte, its character in the lower
    /// one. Not while empty().
    std::uint16_t next() const {
        const char c = keys_[taken_];
        return static_cast<std::uint16_t>(scan_code(c) << 8 | c);
    }

    /// The next key is read. Not while empty().
    void take() { taken_++; }

private:
    char keys_[limit];
    std::size_t size_ = 0, taken_ = 0;
};

} // namespace vtx
