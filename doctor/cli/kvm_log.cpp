// SPDX-License-Identifier: GPL-2.0-only
// long-file: one parser, with every error that it can meet.
// The reader of a kernel log of Linux KVM.
#include "kvm_format.hpp"

namespace doctor {

namespace {

using namespace kvm;

bool starts(std::string_view text, std::string_view with) {
    return text.substr(0, with.size()) == with;
}

/// Drops the marks with which mail quotes a line: "> ", ">> ", "> > ". dump_vmcs() prints no line
/// that starts with one.
std::string_view unquoted(std::string_view line) {
    line = trimmed(line);
    while (starts(line, ">")) {
        line = trimmed(line.substr(1));
    }
    return line;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

bool hex_digit(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Drops "[  123.456789]", "[    T42]" or "[Thu Nov 26 03:25:42 2026]" at the start of a line:
/// dump_vmcs() prints no line that starts with a bracket.
std::string_view without_bracket(std::string_view line) {
    const std::size_t end = line.find(']');
    if (!starts(line, "[") || end == std::string_view::npos || end > 40) {
        return line;
    }
    return trimmed(line.substr(end + 1));
}

/// What follows the first `words` in a line; the whole line if they are not in it.
std::string_view behind(std::string_view line, std::string_view words) {
    const std::size_t at = line.find(words);
    return at == std::string_view::npos ? line : line.substr(at + words.size());
}

/// Drops what logging puts before the words of dump_vmcs(): the host and the time that syslog and
/// journalctl print up to "kernel: ", the module's name with all that stands before it (Linux 6.12
/// has it, 6.1 not), the facility ("<3>" or "kern  :err   : "), the time in one of its forms.
std::string_view without_prefix(std::string_view line) {
    line = trimmed(behind(behind(trimmed(line), "kernel: "), "kvm_intel: "));
    if (line.size() > 3 && line[0] == '<' &&
        line.substr(0, 5).find('>') != std::string_view::npos) {
        line = behind(line, ">");
    }
    if (starts(line, "kern ")) {
        line = behind(line, " : ");
    }
    if (line.size() > 20 && digit(line[0]) && line[10] == 'T' && line[13] == ':') {
        line = behind(line, " "); // 2026-11-26T03:25:42,123456+00:00
    }
    return without_bracket(without_bracket(line));
}

/// Hexadecimal digits at the start of a text, behind an optional 0x.
struct Hex {
    std::size_t digits = 0; // how many there are
    std::uint64_t value = 0;
    bool good = false; // there are some, no more than 64 bits, and no x behind them
};

Hex leading_hex(std::string_view text) {
    if (starts(text, "0x")) {
        text.remove_prefix(2);
    }
    Hex hex;
    for (; hex.digits < text.size() && hex_digit(text[hex.digits]); ++hex.digits) {
        const char c = text[hex.digits];
        const int nibble = digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
        hex.value = (hex.value << 4) | static_cast<unsigned>(nibble);
    }
    hex.good = hex.digits != 0 && hex.digits <= 16 &&
               (hex.digits == text.size() || text[hex.digits] != 'x');
    return hex;
}

/// How many digits dump_vmcs() prints at least for a field: fewer mean that the line was cut off.
std::size_t printed_digits(std::uint32_t encoding) {
    switch (encoding) {
    case e(FieldNatural::guest_rflags):
        return 8;
    case e(Field32::guest_sysenter_cs):
    case e(Field32::host_sysenter_cs):
        return 4;
    case e(Field32::tpr_threshold):
    case e(Field16::posted_interrupt_vector):
        return 2;
    default:
        break;
    }
    for (const SegmentLine &segment : segment_lines) {
        if (segment.rights != 0 && encoding == segment.rights) {
            return 5;
        }
    }
    return vtx::field_bits(vtx::field_width(encoding)) / 4;
}

/// Where a label stands in a line: at its start or behind a blank or a comma.
std::size_t find_label(std::string_view line, std::string_view label) {
    for (std::size_t at = line.find(label); at != std::string_view::npos;
         at = line.find(label, at + 1)) {
        if (at == 0 || line[at - 1] == ' ' || line[at - 1] == ',') {
            return at;
        }
    }
    return std::string_view::npos;
}

/// The names, as KVM prints them, of what it prints in a part of every dump and this one lacks.
std::string missing_names(const vtx::VmcsSnapshot &vmcs, Section section, bool seen_guest_efer) {
    std::string names;
    const auto need = [&names](std::string_view name, bool seen) {
        if (!seen) {
            names += (names.empty() ? "" : ", ");
            names += name.substr(0, name.find_last_not_of(" =:") + 1);
        }
    };
    const auto need_field = [&](std::string_view name, std::uint32_t encoding) {
        need(name, vmcs.find(encoding).has_value());
    };
    for (const Label &label : labels) {
        if (label.section == section && label.always) {
            need_field(label.text, label.encoding);
        }
    }
    if (section == Section::guest) {
        need_field("CS:RIP", e(FieldNatural::guest_sysenter_eip));
        need_field("CR0", e(FieldNatural::guest_cr0));
        need_field("CR4", e(FieldNatural::guest_cr4));
        for (const SegmentLine &segment : segment_lines) {
            need_field(segment.start, segment.limit);
        }
        // Linux before 5.12 prints "EFER =", and not always. That line is not read, so the field is
        // missing all the same.
        need("EFER", seen_guest_efer);
    }
    if (section == Section::host) {
        need_field("CS:RIP", e(FieldNatural::host_sysenter_eip));
    }
    if (section == Section::control) {
        for (const EventLine &event : event_lines) {
            need_field(event.start, event.info);
        }
    }
    return names;
}

/// One dump_vmcs() in the making.
class KvmReader {
public:
    explicit KvmReader(Reading &reading) : reading_(reading) {}

    /// Reads a line. \return what is wrong with it
    std::optional<std::string> line(std::string_view text, std::size_t number) {
        const std::string_view words = without_prefix(text);
        if (words.find(first_line) != std::string_view::npos) {
            return begin(number);
        }
        if (words.find(guest_heading) != std::string_view::npos) {
            if (section_ != Section::none || reading_.dumps.empty()) {
                if (auto wrong = begin(number)) {
                    return wrong;
                }
            }
            section_ = Section::guest;
            seen_guest_ = true;
            return std::nullopt;
        }
        if (words.find(host_heading) != std::string_view::npos) {
            return heading(Section::host, number);
        }
        if (words.find(control_heading) != std::string_view::npos) {
            return heading(Section::control, number);
        }
        if (reading_.dumps.empty() || section_ == Section::none) {
            return std::nullopt; // some other line of the log
        }
        return contents(words);
    }

    /// Ends the last dump.
    void end() {
        if (reading_.dumps.empty()) {
            return;
        }
        note_missing(Section::guest, "Guest State", seen_guest_);
        note_missing(Section::host, "Host State", seen_host_);
        note_missing(Section::control, "Control State", seen_control_);
        // dump_vmcs() prints an MSR list only if its count is not 0, between two headings.
        if (seen_guest_ && seen_host_) {
            set_count(Field32::entry_msr_load_count, guest_loads_);
            set_count(Field32::exit_msr_store_count, guest_stores_);
        }
        if (seen_host_ && seen_control_) {
            set_count(Field32::exit_msr_load_count, host_loads_);
        }
    }

private:
    std::optional<std::string> begin(std::size_t number) {
        end();
        if (reading_.dumps.size() >= dump_limit) {
            return "there are more than 1000 VMCSs in this log";
        }
        Dump dump;
        dump.format = Format::kvm;
        dump.line = number;
        // KVM runs 64-bit hosts only, on the kernels whose format this is.
        dump.host_ia32e_mode = true;
        reading_.dumps.push_back(std::move(dump));
        section_ = Section::none;
        seen_guest_ = seen_host_ = seen_control_ = seen_guest_efer_ = false;
        guest_loads_ = guest_stores_ = host_loads_ = 0;
        list_ = nullptr;
        return std::nullopt;
    }

    std::optional<std::string> heading(Section section, std::size_t number) {
        // A log that was cut off at its start still has parts of a VMCS.
        const bool again = section == Section::host ? seen_host_ || seen_control_ : seen_control_;
        if (reading_.dumps.empty() || again) {
            if (auto wrong = begin(number)) {
                return wrong;
            }
        }
        section_ = section;
        (section == Section::host ? seen_host_ : seen_control_) = true;
        list_ = nullptr;
        return std::nullopt;
    }

    std::optional<std::string> contents(std::string_view words) {
        if (msr_list(words)) {
            return std::nullopt;
        }
        if (section_ == Section::guest) {
            for (const SegmentLine &segment : segment_lines) {
                if (starts(words, segment.start)) {
                    return segment_registers(segment, words.substr(segment.start.size()));
                }
            }
            for (const std::string_view name : {"CR0: ", "CR4: "}) {
                if (starts(words, name)) {
                    return control_register(name, words);
                }
            }
            if (starts(words, "EFER= ")) {
                seen_guest_efer_ = true;
                // Only the plain form is the field; the others come from KVM's own memory.
                return words.find('(') == std::string_view::npos
                           ? value(e(Field64::guest_efer), words.substr(6))
                           : std::nullopt;
            }
        }
        if (section_ == Section::control) {
            for (const EventLine &event : event_lines) {
                if (starts(words, event.start)) {
                    return event_words(event, words);
                }
            }
        }
        return labelled(words);
    }

    std::optional<std::string> labelled(std::string_view words) {
        for (const Label &label : labels) {
            if (label.section != section_) {
                continue;
            }
            const std::size_t at = find_label(words, label.text);
            if (at != std::string_view::npos) {
                if (auto wrong = value(label.encoding, words.substr(at + label.text.size()))) {
                    return wrong;
                }
            }
        }
        const std::size_t code = find_label(words, "CS:RIP=");
        if (code != std::string_view::npos) {
            const std::string_view pair = words.substr(code + 7);
            const std::size_t colon = pair.find(':');
            if (colon == std::string_view::npos) {
                return "the value after CS:RIP= is cut off";
            }
            const bool guest = section_ == Section::guest;
            if (auto wrong = value(
                    guest ? e(Field32::guest_sysenter_cs) : e(Field32::host_sysenter_cs), pair)) {
                return wrong;
            }
            return value(
                guest ? e(FieldNatural::guest_sysenter_eip) : e(FieldNatural::host_sysenter_eip),
                pair.substr(colon + 1));
        }
        return std::nullopt;
    }

    std::optional<std::string>
    part(std::string_view words, std::string_view name, std::uint32_t encoding) {
        if (encoding == 0) {
            return std::nullopt;
        }
        const std::size_t at = find_label(words, name);
        if (at == std::string_view::npos) {
            return "\"" + std::string(name) + "\" is missing in this line";
        }
        return value(encoding, words.substr(at + name.size()));
    }

    std::optional<std::string>
    segment_registers(const SegmentLine &segment, std::string_view words) {
        // CS: and DS: may also start other lines of a log.
        if (words.find("base=") == std::string_view::npos &&
            words.find("sel=") == std::string_view::npos &&
            words.find("limit=") == std::string_view::npos) {
            return std::nullopt;
        }
        for (const auto &[name, encoding] :
             {std::pair{std::string_view{"sel="}, segment.selector},
              std::pair{std::string_view{"attr="}, segment.rights},
              std::pair{std::string_view{"limit="}, segment.limit},
              std::pair{std::string_view{"base="}, segment.base}}) {
            if (auto wrong = part(words, name, encoding)) {
                return wrong;
            }
        }
        return std::nullopt;
    }

    std::optional<std::string> control_register(std::string_view name, std::string_view words) {
        const bool cr0 = name == "CR0: ";
        for (const auto &[label, encoding] :
             {std::pair{
                  std::string_view{"actual="},
                  cr0 ? e(FieldNatural::guest_cr0) : e(FieldNatural::guest_cr4)},
              std::pair{
                  std::string_view{"shadow="},
                  cr0 ? e(FieldNatural::cr0_read_shadow) : e(FieldNatural::cr4_read_shadow)},
              std::pair{
                  std::string_view{"gh_mask="}, cr0 ? e(FieldNatural::cr0_guest_host_mask)
                                                    : e(FieldNatural::cr4_guest_host_mask)}}) {
            if (auto wrong = part(words, label, encoding)) {
                return wrong;
            }
        }
        return std::nullopt;
    }

    std::optional<std::string> event_words(const EventLine &event, std::string_view words) {
        const std::string_view info = event.length != 0 ? "intr_info=" : "info=";
        for (const auto &[name, encoding] :
             {std::pair{info, event.info},
              std::pair{std::string_view{"errcode="}, event.error_code},
              std::pair{std::string_view{"ilen="}, event.length}}) {
            if (auto wrong = part(words, name, encoding)) {
                return wrong;
            }
        }
        return std::nullopt;
    }

    std::optional<std::string> value(std::uint32_t encoding, std::string_view text) {
        const Hex hex = leading_hex(text);
        const std::string name = vtx::field_name(encoding);
        if (!hex.good || hex.digits < printed_digits(encoding)) {
            return "the value of " + name + " is cut off or is not hexadecimal";
        }
        const unsigned bits = vtx::field_bits(vtx::field_width(encoding));
        if (bits < 64 && (hex.value >> bits) != 0) {
            return name + " has only " + std::to_string(bits) + " bits";
        }
        vtx::VmcsSnapshot &vmcs = reading_.dumps.back().vmcs;
        const auto before = vmcs.find(encoding);
        if (before && *before != hex.value) {
            return name + " was printed before with another value";
        }
        vmcs.set(encoding, hex.value);
        return std::nullopt;
    }

    /// Reads the heading of an MSR list, or counts one of its entries.
    bool msr_list(std::string_view words) {
        if (starts(words, "MSR guest autoload:")) {
            list_ = &guest_loads_;
            return true;
        }
        if (starts(words, "MSR guest autostore:")) {
            list_ = &guest_stores_;
            return true;
        }
        if (starts(words, "MSR host autoload:")) {
            list_ = &host_loads_;
            return true;
        }
        if (list_ != nullptr && words.find(": msr=0x") != std::string_view::npos) {
            ++*list_;
            return true;
        }
        return false;
    }

    /// Notes what a part lacks. The kernel drops lines when it logs too fast, logs are cut off, and
    /// a mail program or a console can change a line so that it is not recognized.
    void note_missing(Section section, std::string_view part, bool seen) {
        Dump &dump = reading_.dumps.back();
        if (!seen) {
            dump.missing.push_back("all of " + std::string(part));
            return;
        }
        const std::string names = missing_names(dump.vmcs, section, seen_guest_efer_);
        if (!names.empty()) {
            dump.missing.push_back(std::string(part) + ": " + names);
        }
    }

    void set_count(Field32 field, std::uint32_t count) {
        reading_.dumps.back().vmcs.set(field, count);
    }

    Reading &reading_;
    Section section_ = Section::none;
    bool seen_guest_ = false;
    bool seen_host_ = false;
    bool seen_control_ = false;
    bool seen_guest_efer_ = false;
    std::uint32_t guest_loads_ = 0;
    std::uint32_t guest_stores_ = 0;
    std::uint32_t host_loads_ = 0;
    std::uint32_t *list_ = nullptr;
};

} // namespace

bool is_kvm_line(std::string_view line) {
    for (const std::string_view words :
         {first_line, guest_heading, host_heading, control_heading}) {
        if (line.find(words) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

Reading read_kvm_log(std::string_view text) {
    Reading reading;
    KvmReader reader{reading};
    Lines lines{text};
    while (const auto next = lines.next()) {
        const std::string_view line = unquoted(*next);
        if (starts(line, "(XEN)") && is_kvm_line(line)) {
            return {
                {},
                InputError{lines.number(), "Xen printed this VMCS, and only KVM's format is read"}};
        }
        if (const auto wrong = reader.line(line, lines.number())) {
            reading.dumps.clear();
            reading.error = InputError{lines.number(), *wrong};
            return reading;
        }
    }
    reader.end();
    if (reading.dumps.empty()) {
        reading.error = InputError{
            0, "no dump_vmcs() of KVM is in this log; was kvm_intel loaded with "
               "dump_invalid_vmcs=1?"};
        return reading;
    }
    for (const Dump &dump : reading.dumps) {
        if (dump.vmcs.known_count() == 0) {
            reading.error =
                InputError{dump.line, "a dump of KVM begins here, but no field follows"};
            reading.dumps.clear();
            return reading;
        }
    }
    return reading;
}

} // namespace doctor
