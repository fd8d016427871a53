// SPDX-License-Identifier: GPL-2.0-only
// Sorts the records of a kernel log by dump.
#include "characters.hpp"
#include "kvm_draft.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace doctor {

namespace {

using namespace kvm;

/// Records so far apart are not of one dump.
constexpr std::size_t widest_gap = 200;
/// A dump with as many records is one; fewer may be a line of some other program.
constexpr std::size_t enough_records = 3;

/// Who printed a line: "[ T2211]", "[    C3]", or ftrace's "CPU 0/KVM-2211 [019]". Empty if it does
/// not say.
std::string caller(std::string_view prefix) {
    for (std::size_t at = prefix.find('['); at != std::string_view::npos;
         at = prefix.find('[', at + 1)) {
        const std::size_t letter = prefix.find_first_not_of(' ', at + 1);
        const std::size_t end = prefix.find(']', at);
        if (end == std::string_view::npos || letter >= end) {
            break;
        }
        const std::string_view inside = prefix.substr(letter, end - letter);
        const bool digits =
            std::all_of(inside.begin() + 1, inside.end(), [](char c) { return is_digit(c); });
        if ((inside[0] == 'T' || inside[0] == 'C') && inside.size() > 1 && digits) {
            return std::string(inside);
        }
        const std::size_t task = prefix.find_last_not_of(' ', at == 0 ? 0 : at - 1);
        if (inside.size() == 3 && digits && at > 1 && task != std::string_view::npos &&
            prefix.substr(0, task + 1).find('-') != std::string_view::npos) {
            return std::string(prefix.substr(0, task + 1));
        }
    }
    return "";
}

/// The dumps of what one caller printed.
class Sorter {
public:
    explicit Sorter(const std::vector<TextLine> &lines) : lines_{lines} {}

    void add(const Match &match, const Match *next) {
        const Record &record = *match.record;
        if (!drafts.empty() && drafts.back() && is_elsewhere(*drafts.back(), match)) {
            drafts.push_back(nullptr);
        }
        if (const auto time = time_of(match)) {
            last_time_ = time;
        }
        if (record.role == Role::entry || record.role == Role::heading) {
            title(match);
            return;
        }
        Section section = record.section;
        if (section == Section::either) {
            section = drafts.empty() || !drafts.back() ? Section::start : drafts.back()->section;
        }
        if (drafts.empty() || !drafts.back()) {
            begin(match);
        } else if (section < drafts.back()->section) {
            // Back to a part that was over: another dump, whose beginning is missing, if more of it
            // follows. Otherwise it is no line of KVM's, or two dumps are mixed.
            const bool more = next != nullptr && next->record->section <= section &&
                              next->record->role != Role::entry;
            if (!more) {
                drafts.back()->strange += 1;
                drafts.back()->notes.push_back(
                    {lines_[match.line].number, "is not where KVM prints it and was passed over"});
                return;
            }
            const bool mixed = drafts.back()->headed && !drafts.back()->is_whole();
            begin(match);
            drafts.back()->mixed = mixed;
        } else if (record.section == Section::either && section == Section::control) {
            return; // a guest or a host has it, and both are over
        }
        Draft &draft = *drafts.back();
        draft.section = section;
        draft.last = match.end_line;
        draft.rows.push_back({match, section, shape_before(lines_, match)});
    }

    std::vector<std::unique_ptr<Draft>> drafts; ///< a gap is a null pointer

private:
    /// The seconds in brackets before a record.
    std::optional<double> time_of(const Match &match) const {
        const std::string_view prefix =
            std::string_view{lines_[match.line].text}.substr(0, match.column);
        for (std::size_t at = prefix.rfind('['); at != std::string_view::npos && at + 1 != 0;
             at = at == 0 ? std::string_view::npos : prefix.rfind('[', at - 1)) {
            const std::string_view inside = prefix.substr(at + 1, prefix.find(']', at) - at - 1);
            if (inside.find('.') != std::string_view::npos &&
                inside.find_first_not_of(" .0123456789") == std::string_view::npos) {
                return std::strtod(std::string(inside).c_str(), nullptr);
            }
        }
        return std::nullopt;
    }

    /// True if a record cannot be of this dump: too far from it in lines or in time, or the
    /// sentence with which KVM begins or ends a dump lies between.
    bool is_elsewhere(const Draft &draft, const Match &match) const {
        const auto time = time_of(match);
        if (match.line > draft.last + widest_gap ||
            (time && last_time_ && (*time > *last_time_ + 5 || *time < *last_time_ - 1))) {
            return true;
        }
        for (std::size_t i = draft.last + 1; i < match.line; ++i) {
            if (lines_[i].text.find("unexpected exit reason") != std::string::npos) {
                return true;
            }
        }
        return false;
    }

    void begin(const Match &match) {
        if (drafts.empty() || drafts.back()) {
            drafts.push_back(nullptr);
        }
        drafts.back() = std::make_unique<Draft>();
        drafts.back()->line = drafts.back()->last = match.line;
    }

    /// A heading, or the line before the first. One that comes twice is of a log that has each line
    /// twice, unless there are values in between.
    void title(const Match &match) {
        const Record &record = *match.record;
        const Section section = record.section;
        const bool open = !drafts.empty() && drafts.back();
        const bool again =
            open && (section <= Section::guest  ? !drafts.back()->rows.empty()
                     : section == Section::host ? drafts.back()->has(Section::host) ||
                                                      drafts.back()->section == Section::control
                                                : drafts.back()->has(Section::control));
        if (!open || again) {
            begin(match);
        }
        Draft &draft = *drafts.back();
        draft.headed = true;
        draft.section = section;
        draft.last = match.line;
        draft.entry = draft.entry || record.role == Role::entry;
    }

    const std::vector<TextLine> &lines_;
    std::optional<double> last_time_; ///< of the last record
};

/// A log whose newest line comes first is turned round.
void put_in_order(std::vector<Match> &matches) {
    std::size_t forwards = 0;
    std::size_t backwards = 0;
    for (std::size_t i = 1; i < matches.size(); ++i) {
        forwards += matches[i].record > matches[i - 1].record ? 1u : 0u;
        backwards += matches[i].record < matches[i - 1].record ? 1u : 0u;
    }
    if (backwards > 2 * forwards && backwards > 4) {
        std::reverse(matches.begin(), matches.end());
    }
}

/// True if it can only be what KVM printed: one record of one value is found in other logs, too.
bool is_dump(const Draft &draft, bool others) {
    unsigned values = 0;
    for (const Row &row : draft.rows) {
        values += row.match.good();
    }
    return values != 0 && (draft.headed || values >= (others ? enough_records : 2));
}

} // namespace

Reading read_kvm_log(const std::vector<TextLine> &lines) {
    std::vector<Match> matches = find_records(lines);
    put_in_order(matches);
    std::map<std::string, std::vector<const Match *>> callers;
    std::string last;
    for (const Match &match : matches) {
        const std::string_view line = lines[match.line].text;
        const std::string name = caller(line.substr(0, match.column));
        last = name.empty() ? last : name; // a line that goes on names nobody
        callers[last].push_back(&match);
    }
    std::vector<std::unique_ptr<Draft>> drafts;
    for (const auto &[name, theirs] : callers) {
        Sorter sorter{lines};
        for (std::size_t i = 0; i < theirs.size(); ++i) {
            sorter.add(*theirs[i], i + 1 < theirs.size() ? theirs[i + 1] : nullptr);
        }
        for (auto &draft : sorter.drafts) {
            if (draft) {
                drafts.push_back(std::move(draft));
            }
        }
    }
    std::stable_sort(drafts.begin(), drafts.end(), [](const auto &a, const auto &b) {
        return a->line < b->line;
    });
    const bool headed = std::any_of(
        drafts.begin(), drafts.end(), [](const auto &draft) { return is_dump(*draft, true); });
    Reading reading;
    for (const auto &draft : drafts) {
        if (!is_dump(*draft, headed)) {
            continue;
        }
        if (reading.dumps.size() == dump_limit) {
            return {
                {},
                InputError{
                    lines[draft->line].number, "there are more than 1000 VMCSs in this log"}};
        }
        Dump dump;
        if (auto wrong = finish(lines, *draft, dump)) {
            return {{}, wrong};
        }
        for (std::size_t i = draft->line; i <= draft->last; ++i) {
            if (lines[i].passed_over) {
                dump.notes.push_back({lines[i].number, passed_over_note});
            }
        }
        if (dump.vmcs.known_count() != 0) {
            reading.dumps.push_back(std::move(dump));
        }
    }
    return reading;
}

} // namespace doctor
