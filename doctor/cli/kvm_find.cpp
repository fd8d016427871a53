// SPDX-License-Identifier: GPL-2.0-only
// Looks for records in every place where one can begin.
#include "characters.hpp"
#include "kvm_match.hpp"

namespace doctor::kvm {

namespace {

using Lines = std::vector<TextLine>;

/// "*** Guest State ***": Markdown can take the stars, and then the line has no other words.
std::optional<Match> heading(const Lines &lines, std::size_t number, const Record &record) {
    const std::string_view line = lines[number].text;
    std::string_view words = record.text;
    words = words.substr(4, words.size() - 8);
    const std::size_t at = line.find(words);
    if (at == std::string_view::npos ||
        line.find_first_not_of(" *\\_", at + words.size()) != std::string_view::npos) {
        return std::nullopt;
    }
    const bool stars = line.find('*', at) != std::string_view::npos ||
                       (at != 0 && line.substr(0, at).find("* ") != std::string_view::npos);
    const std::size_t last =
        at == 0 ? std::string_view::npos : line.find_last_not_of(" *\\_", at - 1);
    if (!stars && last != std::string_view::npos && is_word(line[last])) {
        return std::nullopt;
    }
    Match match;
    match.record = &record;
    match.line = match.end_line = number;
    match.column = last == std::string_view::npos ? 0 : last + 1;
    match.end_column = line.size();
    return match;
}

/// True if "(autoload)" or "(effective)" follows, perhaps in the next line.
bool said_aside(const Lines &lines, const Match &match) {
    std::string behind = lines[match.end_line].text.substr(match.end_column);
    if (behind.empty() && match.end_line + 1 < lines.size()) {
        behind = lines[match.end_line + 1].text;
        behind.erase(0, behind.find_first_not_of(" >|"));
    }
    behind.erase(0, behind.find_first_not_of(' '));
    return behind.rfind("(autoload)", 0) == 0 || behind.rfind("(effective)", 0) == 0;
}

/// True for what a record can begin with. Most of a log cannot.
constexpr auto first_letters = [] {
    std::array<bool, 256> is_first{};
    for (const Record &record : records) {
        is_first[static_cast<unsigned char>(record.text[0])] = true;
    }
    return is_first;
}();

/// The longest record that begins here.
std::optional<Match> record_at(const Lines &lines, std::size_t line, std::size_t column) {
    std::optional<Match> best;
    const std::string_view here = std::string_view{lines[line].text}.substr(column);
    for (const Record &record : records) {
        if (record.text[0] != here[0] || record.role == Role::heading) {
            continue; // nearly always, in a log of other things
        }
        const auto match = match_at(lines, line, column, record);
        if (match && (!best || match->good() > best->good() ||
                      (match->good() == best->good() && best->cut && !match->cut))) {
            best = match;
        }
    }
    return best;
}

} // namespace

std::vector<Match> find_records(const Lines &lines) {
    std::vector<Match> found;
    std::size_t from = 0;
    for (std::size_t number = 0; number < lines.size(); ++number) {
        const std::string &line = lines[number].text;
        std::optional<Match> title;
        if (line.find(" State") != std::string::npos) {
            for (const Record &record : records) {
                if (!title && record.role == Role::heading) {
                    title = heading(lines, number, record);
                }
            }
        }
        if (title) {
            found.push_back(*title);
            from = 0;
            continue;
        }
        std::size_t column = from;
        from = 0;
        while (column < line.size()) {
            const bool begins = first_letters[static_cast<unsigned char>(line[column])] &&
                                (column == 0 || !is_word(line[column - 1]));
            const auto match = begins ? record_at(lines, number, column) : std::nullopt;
            if (!match) {
                ++column;
                continue;
            }
            found.push_back(*match);
            Match &last = found.back();
            column = last.end_column;
            last.aside = said_aside(lines, last);
            if (last.end_line != number) {
                number = last.end_line - 1; // the loop goes to the line in which it ends
                from = last.end_column;
                break;
            }
        }
    }
    return found;
}

std::string shape_before(const Lines &lines, const Match &match) {
    return shape(std::string_view{lines[match.line].text}.substr(0, match.column));
}

} // namespace doctor::kvm
