// SPDX-License-Identifier: GPL-2.0-only
// long-file: what can have happened to a log on its way, in one place.
// Puts the records of a kernel log together to dumps.
#include "kvm_match.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>

namespace doctor {

namespace {

using namespace kvm;

/// Records so far apart are not of one dump.
constexpr std::size_t widest_gap = 200;
/// A dump with as many records is one; fewer may be a line of some other program.
constexpr std::size_t enough_records = 3;

/// A record in its dump.
struct Row {
    Match match;
    Section section; ///< guest or host for a record that both have
    std::string shape;
};

/// A dump in the making.
struct Draft {
    std::size_t line = 0;  ///< where it begins, as an index of lines
    std::size_t last = 0;  ///< where its last record is
    std::vector<Row> rows; ///< in the order in which they were printed
    Section section = Section::start;
    std::vector<Note> notes; ///< about lines that are not used
    unsigned strange = 0;    ///< records that do not come in the order of a dump
    bool headed = false;     ///< there is a heading, or the line before it
    bool entry = false;      ///< there is the line before it, which 5.14 brought

    bool mixed = false; ///< it begins in the middle of another one

    /// True if nearly all records are there that every dump has.
    bool is_whole() const {
        std::set<std::pair<const Record *, Section>> there;
        for (const Row &row : rows) {
            if (row.match.record->always) {
                there.emplace(row.match.record, row.section);
            }
        }
        return there.size() >= 28; // of 32
    }

    bool has(Section section_wanted) const {
        return std::any_of(rows.begin(), rows.end(), [=](const Row &row) {
            return row.section == section_wanted;
        });
    }
};

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
        const bool digits = std::all_of(inside.begin() + 1, inside.end(), [](char c) {
            return std::isdigit(static_cast<unsigned char>(c)) != 0;
        });
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
        if (!drafts.empty() && match.line > drafts.back()->last + widest_gap) {
            drafts.push_back(nullptr); // too far away
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
};

/// Makes a dump out of a draft.
class Finisher {
public:
    Finisher(const std::vector<TextLine> &lines, const Draft &draft)
        : lines_{lines}, draft_{draft} {}

    /// \return what is wrong with the whole of it
    std::optional<InputError> finish(Dump &dump) {
        dump.format = Format::kvm;
        dump.line = lines_[draft_.line].number;
        dump.host_ia32e_mode = true; // all kernels that print so are 64-bit hosts
        dump.notes = draft_.notes;
        for (const Row &row : draft_.rows) {
            shapes_[row.shape] += 1;
        }
        for (const Row &row : draft_.rows) {
            if (auto mixed = take(row, dump)) {
                return mixed;
            }
        }
        if (draft_.mixed || draft_.strange > 3) {
            return InputError{
                dump.line,
                "the lines of two dumps are mixed from here on; give the lines of one, or a "
                "log that names the caller in each line (CONFIG_PRINTK_CALLER)"};
        }
        // A list of MSRs is printed if it is not empty. Before 5.13, and its line EFER=, it was
        // not.
        if (new_efer_ && draft_.has(Section::guest) && draft_.has(Section::host)) {
            dump.vmcs.set(Field32::entry_msr_load_count, counts_[0]);
            dump.vmcs.set(Field32::exit_msr_store_count, counts_[1]);
            if (draft_.has(Section::control)) {
                dump.vmcs.set(Field32::exit_msr_load_count, counts_[2]);
            }
        }
        note_missing(dump);
        return std::nullopt;
    }

private:
    struct Seen {
        std::uint64_t value;
        const Row *row;
    };

    /// The part in which a record is that both have: of a dump without a heading, the one before
    /// what follows.
    Section section_of(const Row &row) const {
        if (row.section != Section::start) {
            return row.section;
        }
        for (const Row *other = &row; other != draft_.rows.data() + draft_.rows.size(); ++other) {
            if (other->section != Section::start) {
                return other->section == Section::control ? Section::host : Section::guest;
            }
        }
        return Section::start;
    }

    std::optional<InputError> take(const Row &row, Dump &dump) {
        const Match &match = row.match;
        const std::size_t line = lines_[match.line].number;
        const Section section = section_of(row);
        switch (match.record->role) {
        case Role::list_loads:
            list_ = section == Section::host ? 2 : 0;
            return std::nullopt;
        case Role::list_stores:
            list_ = 1;
            return std::nullopt;
        case Role::list_row:
            counts_[list_] += list_ < 3 ? 1u : 0u;
            return std::nullopt;
        case Role::efer:
            new_efer_ = true;
            seen_efer_ = seen_efer_ || section == Section::guest;
            if (match.aside) {
                return std::nullopt;
            }
            break;
        case Role::old_efer:
            seen_efer_ = seen_efer_ || section == Section::guest;
            break;
        default:
            break;
        }
        if (section == Section::start) {
            dump.notes.push_back({line, "can be the guest's or the host's, and was passed over"});
            return std::nullopt;
        }
        for (unsigned i = 0; i < match.value_count; ++i) {
            const Value &where = match.record->values[i];
            const std::uint32_t encoding =
                section == Section::host && where.host != 0 ? where.host : where.guest;
            if (!match.values[i]) {
                spoiled(match, encoding, dump);
                if (match.cut) {
                    break; // and with it all that follow
                }
            } else if (auto mixed = put(encoding, *match.values[i], row, dump)) {
                return mixed;
            }
        }
        return std::nullopt;
    }

    void spoiled(const Match &match, std::uint32_t encoding, Dump &dump) {
        dump.notes.push_back(
            {lines_[match.cut ? match.end_line : match.line].number,
             match.cut ? std::string{"is cut off before the value of "} + vtx::field_name(encoding)
                       : std::string{"has no hexadecimal number of the right length for "} +
                             vtx::field_name(encoding)});
    }

    /// Sets a field. If it has another value already, the line counts that looks like the rest.
    std::optional<InputError>
    put(std::uint32_t encoding, std::uint64_t value, const Row &row, Dump &dump) {
        const auto before = seen_.find(encoding);
        if (before != seen_.end() && before->second.value != value) {
            const Row &old = *before->second.row;
            const int difference = shapes_[row.shape] - shapes_[old.shape];
            const std::size_t line = lines_[row.match.line].number;
            const std::size_t old_line = lines_[old.match.line].number;
            if (row.shape == old.shape || difference == 0) {
                return InputError{
                    line,
                    std::string{vtx::field_name(encoding)} + " has another value in line " +
                        std::to_string(old_line) +
                        ", so two dumps are mixed; give the lines of one, or a log that names "
                        "the caller in each line (CONFIG_PRINTK_CALLER)"};
            }
            dump.notes.push_back(
                {difference > 0 ? old_line : line,
                 "does not begin as the other lines do, and was passed over"});
            if (difference < 0) {
                return std::nullopt;
            }
        }
        const unsigned bits = vtx::field_bits(vtx::field_width(encoding));
        if (bits < 64 && (value >> bits) != 0) {
            dump.notes.push_back(
                {lines_[row.match.line].number,
                 std::string{"has more bits than "} + vtx::field_name(encoding)});
            return std::nullopt;
        }
        seen_[encoding] = {value, &row};
        dump.vmcs.set(encoding, value);
        return std::nullopt;
    }

    /// The name of a value, as KVM prints it: of "RSP = 0x# RIP = 0x#" RSP and RIP, of a text with
    /// a colon what is before that.
    static std::string name_of(const Record &record, unsigned value) {
        std::string_view text = record.text;
        const std::size_t colon = text.find(':');
        if (colon < text.find('#') && text.find('=') > colon) {
            return std::string(text.substr(0, colon));
        }
        std::string name;
        for (unsigned i = 0; i <= value; ++i) {
            const std::size_t at = text.find('#');
            std::string_view label = text.substr(0, at);
            label = label.substr(0, label.find_first_of('='));
            label = label.substr(std::min(label.find_first_not_of(" ,"), label.size()));
            if (label != ":") {
                name = trimmed(label);
            }
            text = text.substr(at + 1);
        }
        return name;
    }

    /// Adds the names of what a record of every dump has and this dump has not.
    void
    ask(const Record &record, Section section, const Dump &dump, std::set<std::uint32_t> &asked,
        std::string &names) const {
        std::string last;
        const auto need = [&](const std::string &name, bool there) {
            if (!there && name != last) {
                names += (names.empty() ? "" : ", ") + name;
                last = name;
            }
        };
        for (unsigned i = 0; record.always && i < record.values.size(); ++i) {
            const Value &value = record.values[i];
            const std::uint32_t encoding =
                section == Section::host && value.host != 0 ? value.host : value.guest;
            if (value.digits != 0 && asked.insert(encoding).second) {
                need(name_of(record, i), dump.vmcs.find(encoding).has_value());
            }
        }
        // From 5.13 on always in the guest's part; 5.14 brought the line before the dump.
        if (record.role == Role::efer && section == Section::guest && draft_.entry) {
            need("EFER", seen_efer_);
        }
    }

    /// Notes what a part lacks. The kernel drops lines when it logs too fast, logs are cut off, and
    /// something can change a line so that it is not recognized.
    void note_missing(Dump &dump) const {
        constexpr std::pair<Section, const char *> parts[] = {
            {Section::guest, "Guest State"},
            {Section::host, "Host State"},
            {Section::control, "Control State"}};
        for (const auto &[section, title] : parts) {
            if (!draft_.has(section)) {
                dump.missing.push_back(std::string{"all of "} + title);
                continue;
            }
            std::string names;
            std::set<std::uint32_t> asked;
            for (const Section of : {section, Section::either}) {
                for (const Record &record : records) {
                    if (record.section == of && (section != Section::control || of == section)) {
                        ask(record, section, dump, asked, names);
                    }
                }
            }
            if (!names.empty()) {
                dump.missing.push_back(title + (": " + names));
            }
        }
    }

    const std::vector<TextLine> &lines_;
    const Draft &draft_;
    std::map<std::string, int> shapes_;
    std::map<std::uint32_t, Seen> seen_;
    std::uint32_t counts_[4] =
        {};             ///< MSRs to load and to store for the guest, to load for the host
    unsigned list_ = 3; ///< whose list it is; 3 without a heading
    bool new_efer_ = false;
    bool seen_efer_ = false;
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
        if (auto wrong = Finisher{lines, *draft}.finish(dump)) {
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
