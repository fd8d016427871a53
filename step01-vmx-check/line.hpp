// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A line of text that is put together piece by piece.
#pragma once

#include <cstddef>

namespace vtx {

/// Text for the log or a table. What does not fit is cut off.
class Line {
public:
    /// Appends text.
    Line &add(const char *text) {
        for (; *text != '\0'; text++)
            add(*text);
        return *this;
    }

    /// Appends an acronym in capitals, after a blank if it is not the first.
    Line &add_acronym(const char *name) {
        if (length_ != 0)
            add(' ');
        for (; *name != '\0'; name++)
            add(*name >= 'a' && *name <= 'z' ? static_cast<char>(*name - 'a' + 'A') : *name);
        return *this;
    }

    /// Appends words, after a comma if they are not the first.
    Line &add_item(const char *words) { return add(length_ != 0 ? ", " : "").add(words); }

    /// The text so far, or `nothing` if there is none.
    const char *text(const char *nothing = "") const { return length_ != 0 ? text_ : nothing; }

private:
    void add(char letter) {
        if (length_ + 1 < sizeof text_)
            text_[length_++] = letter;
    }

    char text_[160] = {};
    std::size_t length_ = 0;
};

} // namespace vtx
