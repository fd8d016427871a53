// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's screen: 80 columns and 25 lines of text in its RAM, at 0xB8000.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_memory.hpp"

namespace vtx {

/// Text memory as a PC's video card has it, but it is just RAM: the guest may write there itself.
/// Each place has two bytes, a character and its colours.
class TextScreen {
public:
    static constexpr std::size_t columns = 80, lines = 25;
    static constexpr std::size_t bytes = 2 * columns * lines; ///< 4000: in one page.
    static constexpr std::uint64_t address = 0xb8000;         ///< Where a PC has colour text.
    static constexpr std::uint64_t cursor = 0x450; ///< Where a BIOS keeps column and line.

    explicit TextScreen(const GuestMemory &memory)
        : cells_(&memory.byte_at(address)), column_(memory.byte_at(cursor)),
          line_(memory.byte_at(cursor + 1)) {}

    /// Blanks everywhere, the cursor at the top left.
    void clear() {
        clear_lines(0);
        column_ = line_ = std::byte{0};
    }

    /// Writes a character at the cursor, as a teletype does. True if that moved all lines up.
    bool put(std::byte character) {
        // The guest may have written anything to the cursor.
        std::size_t column = static_cast<std::size_t>(column_) % columns;
        std::size_t line = static_cast<std::size_t>(line_) % lines;
        switch (static_cast<char>(character)) {
        case '\a':
            break;
        case '\b':
            column -= column > 0 ? 1 : 0;
            break;
        case '\n':
            line++;
            break;
        case '\r':
            column = 0;
            break;
        default:
            cells_[2 * (line * columns + column)] = character;
            column++;
        }
        line += column / columns;
        column_ = static_cast<std::byte>(column % columns);
        const bool scrolls = line == lines;
        if (scrolls) {
            __builtin_memmove(cells_, cells_ + 2 * columns, bytes - 2 * columns);
            clear_lines(--line);
        }
        line_ = static_cast<std::byte>(line);
        return scrolls;
    }

private:
    void clear_lines(std::size_t first) {
        for (std::size_t i = 2 * first * columns; i < bytes; i += 2) {
            cells_[i] = std::byte{' '};
            cells_[i + 1] = std::byte{0x07}; // light grey on black
        }
    }

    std::byte *cells_;
    std::byte &column_, &line_;
};

} // namespace vtx
