// SPDX-License-Identifier: GPL-2.0-only
// Puts the records of one dump together: its fields, and what it lacks.
#include "kvm_draft.hpp"

#include <algorithm>

namespace doctor::kvm {

namespace {

/// Makes one dump.
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

    /// The part to which a record belongs that both parts have. In a dump without headings, what
    /// follows it decides.
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
                        "; if the lines of two dumps are mixed, give those of one, or a log that "
                        "names the caller in each line (CONFIG_PRINTK_CALLER)"};
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

} // namespace

std::optional<InputError>
finish(const std::vector<TextLine> &lines, const Draft &draft, Dump &dump) {
    return Finisher{lines, draft}.finish(dump);
}

} // namespace doctor::kvm
