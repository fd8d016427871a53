// SPDX-License-Identifier: GPL-2.0-only
// A record is a text with values in it. It may begin anywhere in a line, for nobody can list what
// stands before it; and where the text wants a blank or goes on, a line may end and the record go
// on in the next one, behind whatever stands before the words there.
#include "kvm_match.hpp"

#include <algorithm>
#include <cctype>

namespace doctor::kvm {

namespace {

using Lines = std::vector<TextLine>;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

/// See shape_before().
std::string shape(std::string_view prefix) {
    std::string result;
    for (const char c : prefix) {
        const char as = std::isdigit(static_cast<unsigned char>(c)) != 0 ? '0' : c;
        if ((as != '0' && as != ' ') || result.empty() || result.back() != as) {
            result += as;
        }
    }
    return result.substr(0, result.find_last_not_of(' ') + 1);
}

/// Where the words of a line may begin that is the rest of another one, the likeliest first: behind
/// all that both lines begin with, a time for instance; behind less of that; behind quote marks.
std::vector<std::size_t> rest_begins(std::string_view first, std::string_view next) {
    const std::size_t marks = std::min(next.find_first_not_of(" >|:*+-`~#"), next.size());
    std::vector<std::size_t> places{marks};
    const std::string whole = shape(first);
    for (std::size_t column = marks + 1; column < next.size(); ++column) {
        if (!whole.starts_with(shape(next.substr(0, column)))) {
            break;
        }
        if (!is_word(next[column - 1]) && next[column - 1] != '=' && next[column] != ' ') {
            places.insert(places.begin(), column);
        }
    }
    return places;
}

/// Tries to match one record at one place.
class Matcher {
public:
    Matcher(const Lines &lines, const Record &record) : lines_{lines}, record_{record} {}

    std::optional<Match> at(std::size_t line, std::size_t column) {
        match_ = {};
        match_.record = &record_;
        match_.line = line;
        match_.column = column;
        for (const char *c = record_.text; *c != '\0'; ++c) {
            match_.value_count += *c == '#' ? 1u : 0u;
        }
        if (!rest({record_.text, 0, line, column, 0, false})) {
            return std::nullopt;
        }
        return match_;
    }

private:
    /// Where the matching is: in the record's text, and in the lines.
    struct Place {
        const char *text;
        unsigned value; ///< how many values are behind it
        std::size_t line, column;
        unsigned broken; ///< over how many ends of lines it went
        bool fresh;      ///< nothing of this line is matched yet
    };

    static constexpr unsigned most_breaks = 4;

    std::string_view line_at(const Place &place) const { return lines_[place.line].text; }
    bool ends(const Place &place) const { return place.column >= line_at(place).size(); }

    /// The next line that is not empty. HTML and some mail programs put empty ones in between.
    std::size_t next_number(std::size_t line) const {
        do {
            ++line;
        } while (line < lines_.size() && lines_[line].text.empty());
        return line;
    }

    /// Calls `go_on` with the place in the next line at which a broken record may go on.
    template <class GoOn> bool next_line(const Place &place, GoOn go_on) {
        const std::size_t number = next_number(place.line);
        if (number >= lines_.size() || place.broken == most_breaks) {
            return false;
        }
        for (const std::size_t column :
             rest_begins(lines_[match_.line].text, lines_[number].text)) {
            if (go_on(Place{place.text, place.value, number, column, place.broken + 1, true})) {
                return true;
            }
            if (*place.text == '#') {
                break; // the digits of a time are never those of a value
            }
        }
        return false;
    }

    /// Somebody put values into quotes or words in bold, or a blank behind an equals sign.
    void skip_marks(Place &place) const {
        const char before = place.text == record_.text ? ' ' : place.text[-1];
        const char *const marks = before == '=' || before == 'x' ? "`'\"* " : "`'\"*";
        place.column =
            std::min(line_at(place).find_first_not_of(marks, place.column), line_at(place).size());
    }

    /// Matches what is left of the record.
    bool rest(Place place) {
        for (; *place.text != '\0'; ++place.text) {
            if (*place.text == '#') {
                skip_marks(place);
                return value(place, place.column, "");
            }
            if (*place.text == ' ') {
                const std::size_t start = place.column;
                place.column = std::min(
                    line_at(place).find_first_not_of(" `'\"*", start), line_at(place).size());
                if (ends(place)) {
                    ++place.text;
                    return go_on(place);
                }
                const std::string_view skipped = line_at(place).substr(start, place.column - start);
                if (skipped.find(' ') == std::string_view::npos) {
                    return false;
                }
                continue;
            }
            skip_marks(place);
            if (ends(place)) {
                return go_on(place);
            }
            if (line_at(place)[place.column] == *place.text) {
                ++place.column;
                place.fresh = false;
            } else if (*place.text != '_') {
                return false;
            } else if (line_at(place)[place.column] == ' ') {
                ++place.column; // Markdown takes underscores away, and leaves a blank or nothing
            }
        }
        match_.end_line = place.line;
        match_.end_column = place.column;
        match_.cut = false;
        return match_.value_count == 0 || match_.good() != 0;
    }

    /// Goes on in the next line; if that is no part of the record, the record is cut off here.
    bool go_on(const Place &place) {
        const auto values = match_.values;
        if (next_line(place, [this](const Place &there) { return rest(there); })) {
            return true;
        }
        match_.values = values;
        return cut(place);
    }

    bool cut(const Place &place) {
        if (place.broken != 0) {
            return false; // then it is cut off where it was broken
        }
        match_.end_line = place.line;
        match_.end_column = line_at(place).size();
        match_.cut = true;
        // The last line of all may end in its first value.
        return match_.good() != 0 || (*place.text == '#' && place.line + 1 == lines_.size());
    }

    /// Reads a value, whose first digits may be in the line before.
    bool value(Place place, std::size_t column, const std::string &before) {
        const std::string_view line = line_at(place);
        std::string digits = before;
        for (; column < line.size() && is_hex(line[column]); ++column) {
            if (!before.empty() && is_upper(line[column])) {
                break; // KVM prints lower case: it is the first letter of something else
            }
            digits += line[column];
        }
        const Value &wanted = record_.values[place.value];
        const std::size_t least = wanted.digits;
        const bool whole = digits.size() == least ||
                           (wanted.grows && digits.size() > least && digits.size() <= 16);
        const bool at_end = column >= line.size();
        if (at_end && digits.size() < least) {
            const auto values = match_.values;
            if (next_line(place, [&](const Place &there) {
                    return value(there, there.column, digits) && match_.values[place.value];
                })) {
                return true;
            }
            match_.values = values;
            return cut(place);
        }
        place.column = column;
        if (whole && (at_end || !is_word(line[column]))) {
            match_.values[place.value] = std::stoull(digits, nullptr, 16);
        } else if (place.fresh) {
            return false; // it goes on elsewhere in this line, if at all
        } else {
            // No number: it spoils this field, not those behind it.
            place.column = std::min(line.find_first_of(" ,", column), line.size());
        }
        ++place.value;
        ++place.text;
        place.fresh = false;
        return rest(place);
    }

    const Lines &lines_;
    const Record &record_;
    Match match_;
};

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
        const auto match = Matcher{lines, record}.at(line, column);
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
