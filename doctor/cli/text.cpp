// SPDX-License-Identifier: GPL-2.0-only
// Undoes what was done to a text on its way here.
#include "text.hpp"

#include "characters.hpp"
#include "dump.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace doctor {

namespace {

/// What a long text has, so that it is not searched for everything line by line.
bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// UTF-16 as a Windows shell writes it, to ASCII.
std::string from_utf16(std::string_view text, bool big) {
    std::string result;
    for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
        const char low = text[big ? i + 1 : i];
        const char high = text[big ? i : i + 1];
        result += high == 0 ? low : '?';
    }
    return result;
}

/// True for quoted-printable: "=3D" stands where other text has an equals sign.
bool is_quoted_printable(std::string_view text) {
    std::size_t coded = 0;
    std::size_t plain = 0;
    for (std::size_t at = text.find('='); at != std::string_view::npos;
         at = text.find('=', at + 1)) {
        const std::string_view next = text.substr(at + 1, 2);
        const auto upper = [](char c) { return is_digit(c) || (c >= 'A' && c <= 'F'); };
        if (next == "3D") {
            ++coded;
        } else if (
            next.size() == 2 && next[0] != '\n' && next[0] != '\r' &&
            !(upper(next[0]) && upper(next[1]))) {
            ++plain;
        }
    }
    return coded >= 3 && coded > plain;
}

/// Decodes quoted-printable. A line that was put together has a byte 1 at its end for each line
/// that it took in, so that lines can be counted.
std::string from_quoted_printable(std::string_view text) {
    std::string result;
    std::size_t joined = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            result.append(text[i] == '\n' ? std::exchange(joined, 0) : 0, '\1');
            result += text[i];
            continue;
        }
        std::size_t end = text.find_first_not_of(" \t", i + 1);
        end = end != std::string_view::npos && text[end] == '\r' ? end + 1 : end;
        if (end != std::string_view::npos && end < text.size() && text[end] == '\n') {
            joined += 1;
            i = end;
        } else if (
            i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            result += '=';
        }
    }
    return result;
}

struct Replacement {
    std::string_view from, to;
};

// Blanks that are not ASCII's, and things of no width. A byte A0H alone is Latin-1's no-break
// blank.
constexpr Replacement blanks[] = {
    {"\xc2\xa0", " "},     {"\xe2\x80\xaf", " "}, {"\xe2\x80\x87", " "}, {"\xe2\x80\x82", " "},
    {"\xe2\x80\x83", " "}, {"\xe2\x80\x89", " "}, {"\xe3\x80\x80", " "}, {"\xe2\x80\x8b", ""},
    {"\xe2\x80\x8c", ""},  {"\xe2\x80\x8d", ""},  {"\xe2\x81\xa0", ""},  {"\xef\xbb\xbf", ""},
    {"\xc2\xad", ""},      {"\xa0", " "},
};

// Escapes of JSON, C and Markdown. What JSON writes as \n is the end of a line.
constexpr Replacement escapes[] = {
    {"\\r\\n", "\n"}, {"\\n", "\n"}, {"\\r", ""},  {"\\t", " "},     {"\\\"", "\""},
    {"\\*", "*"},     {"\\_", "_"},  {"\\|", "|"}, {"\\u003e", ">"}, {"\\u003c", "<"},
    {"\\u003E", ">"}, {"\\=", "="},  {"\\[", "["}, {"\\]", "]"},     {"\\u00a0", " "},
    {"\\#", "#"},     {"\\>", ">"},
};

constexpr Replacement entities[] = {
    {"&gt;", ">"},   {"&lt;", "<"},     {"&amp;", "&"},  {"&quot;", "\""}, {"&nbsp;", " "},
    {"&apos;", "'"}, {"&equals;", "="}, {"&vert;", "|"}, {"&ast;", "*"},   {"&lowbar;", "_"},
};

/// How an escape character of a terminal arrives when it does not arrive as itself.
constexpr std::string_view escape_characters[] = {
    "\033", "^[", "\\x1b", "\\x1B", "\\u001b", "\\u001B", "\\033", "\\e", "#033", "\xe2\x90\x9b",
};

template <std::size_t n>
bool replace_at(
    std::string_view text, std::size_t &at, const Replacement (&table)[n], std::string &result) {
    for (const Replacement &row : table) {
        if (text.substr(at, row.from.size()) == row.from) {
            result += row.to;
            at += row.from.size();
            return true;
        }
    }
    return false;
}

/// The length of a colour or cursor sequence behind its "[", or nothing.
std::size_t sequence_length(std::string_view text) {
    std::size_t end = 1;
    while (end < text.size() && (is_digit(text[end]) || text[end] == ';' || text[end] == '?')) {
        ++end;
    }
    return text.substr(0, 1) == "[" && end < text.size() && is_letter(text[end]) ? end + 1 : 0;
}

/// The length of what a terminal would not show at the start of a text: "ESC [0;31m".
std::size_t escape_length(std::string_view text) {
    for (const std::string_view escape : escape_characters) {
        if (text.substr(0, escape.size()) == escape) {
            const std::size_t length = sequence_length(text.substr(escape.size()));
            return length != 0 ? escape.size() + length : escape == "\033" ? 1 : 0;
        }
    }
    // The escape character itself can get lost: "[0m" remains.
    const std::size_t length = sequence_length(text);
    return length > 2 && text[length - 1] == 'm' ? length : 0;
}

/// "&#61;" or "&#x3d;", as a character.
bool numeric_entity(std::string_view text, std::size_t &at, std::string &result) {
    const std::size_t end = text.substr(at, 9).find(';') + at;
    if (end < at || end - at > 7) {
        return false;
    }
    std::string_view number = text.substr(at + 2, end - at - 2);
    const bool is_hex = !number.empty() && (number[0] == 'x' || number[0] == 'X');
    number = is_hex ? number.substr(1) : number;
    int value = 0;
    for (const char c : number) {
        const int digit = hex_value(c);
        if (digit < 0 || (!is_hex && digit > 9)) {
            return false;
        }
        value = value * (is_hex ? 16 : 10) + digit;
    }
    if (number.empty()) {
        return false;
    }
    result += value == 160 || value == 9   ? ' '
              : value >= 32 && value < 127 ? static_cast<char>(value)
                                           : '?';
    at = end + 1;
    return true;
}

/// A tag of HTML, which is dropped; some end a line.
bool tag(std::string_view text, std::size_t &at, std::string &result) {
    const std::size_t end = text.find_first_of("<>\n", at + 1);
    const std::size_t name = at + (text.substr(at + 1, 1) == "/" ? 2 : 1);
    if (end == std::string_view::npos || text[end] != '>' || name >= end ||
        !is_letter(text[name])) {
        return false;
    }
    const std::string_view word = text.substr(name, text.find_first_of(" />", name) - name);
    const bool closes = name == at + 2;
    if (word == "br" || word == "BR" ||
        (closes &&
         (word == "p" || word == "div" || word == "li" || word == "tr" || word == "pre"))) {
        result += '\n';
    } else if (closes && (word == "td" || word == "th")) {
        result += ' ';
    }
    at = end + 1;
    return true;
}

/// The text with all of this undone in it.
std::string undone(std::string_view text) {
    const bool is_html = has(text, "&gt;") || has(text, "&lt;") || has(text, "&nbsp;") ||
                         has(text, "&#") || has(text, "</") || has(text, "<br");
    std::string result;
    result.reserve(text.size());
    std::size_t at = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '\033' || c == '^' || c == '\\' || c == '#' || c == '[' || c == '\xe2') {
            if (const std::size_t length = escape_length(text.substr(at)); length != 0) {
                at += length;
                continue;
            }
        }
        const auto byte = static_cast<unsigned char>(c);
        if ((byte >= 0x80 && replace_at(text, at, blanks, result)) ||
            (c == '\\' && replace_at(text, at, escapes, result)) ||
            (is_html && c == '&' &&
             (text.substr(at, 2) == "&#" ? numeric_entity(text, at, result)
                                         : replace_at(text, at, entities, result))) ||
            (is_html && c == '<' && tag(text, at, result))) {
            continue;
        }
        if (c == '^' && text.substr(at, 3) == "^M\n") {
            at += 2; // a carriage return that an editor made visible
            continue;
        }
        result += c == '\t' || c == '\f' || c == '\v' ? ' ' : c;
        ++at;
    }
    return result;
}

bool is_binary(char c) { return static_cast<unsigned char>(c) < 0x20; }

/// A line of which nothing is left to undo.
TextLine finished(std::string text, std::size_t number) {
    std::erase(text, '\r');
    text.erase(text.find_last_not_of(' ') + 1);
    TextLine line{std::move(text), number};
    if (line.text.size() > line_limit ||
        std::any_of(line.text.begin(), line.text.end(), is_binary)) {
        line.text.clear();
        line.passed_over = true;
    }
    return line;
}

} // namespace

std::vector<TextLine> readable_lines(std::string_view text) {
    std::string other;
    if (text.substr(0, 2) == "\xff\xfe" || text.substr(0, 2) == "\xfe\xff") {
        other = from_utf16(text, text[0] == '\xfe');
        text = other;
    }
    if (is_quoted_printable(text)) {
        other = from_quoted_printable(text);
        text = other;
    }
    std::vector<TextLine> lines;
    std::size_t number = 1;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string line = undone(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        const auto joined = static_cast<std::size_t>(std::count(line.begin(), line.end(), '\1'));
        std::erase(line, '\1');
        for (std::size_t start = 0; start <= line.size();) {
            const std::size_t stop = std::min(line.find('\n', start), line.size());
            lines.push_back(finished(line.substr(start, stop - start), number));
            start = stop + 1;
        }
        number += 1 + joined;
    }
    while (!lines.empty() && lines.back().text.empty() && !lines.back().passed_over) {
        lines.pop_back();
    }
    return lines;
}

} // namespace doctor
