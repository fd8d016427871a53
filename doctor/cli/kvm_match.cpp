// SPDX-License-Identifier: GPL-2.0-only
// A record is a text with values in it. It may begin anywhere in a line: nobody can list what
// stands before it; and where the text wants a blank or goes on, a line may end and the record go
// on in the next one, behind whatever stands before the words there.
#include "kvm_match.hpp"

#include "characters.hpp"

#include <algorithm>

namespace doctor::kvm {

namespace {

using Lines = std::vector<TextLine>;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

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

} // namespace

std::string shape(std::string_view prefix) {
    std::string result;
    for (const char c : prefix) {
        const char as = is_digit(c) ? '0' : c;
        if ((as != '0' && as != ' ') || result.empty() || result.back() != as) {
            result += as;
        }
    }
    return result.substr(0, result.find_last_not_of(' ') + 1);
}

std::optional<Match> match_at(
    const std::vector<TextLine> &lines, std::size_t line, std::size_t column,
    const Record &record) {
    return Matcher{lines, record}.at(line, column);
}

} // namespace doctor::kvm
