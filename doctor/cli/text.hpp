// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What mail programs, web pages, terminals and log collectors do to a text, undone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace doctor {

/// A line of the input, as a person would read it.
struct TextLine {
    std::string text;         ///< without colours, entities and the like; blanks at its end are cut
    std::size_t number = 0;   ///< in the input, from 1; several lines here can come from one there
    bool passed_over = false; ///< too long, or not text: then `text` is empty
};

/// The lines of a text with what is not part of the words taken out: quoted-printable, HTML tags
/// and entities, colour escapes, no-break and zero-width blanks, tabs, carriage returns, UTF-16,
/// and the escapes of JSON and Markdown. Quote marks and whatever else stands before the words
/// stay.
std::vector<TextLine> readable_lines(std::string_view text);

} // namespace doctor
