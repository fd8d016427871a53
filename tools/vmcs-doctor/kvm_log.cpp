// SPDX-License-Identifier: GPL-2.0-only
// long-file: one line of the format after the other, as the kernel prints them.
// The kernel log of Linux KVM. When a VM entry fails and kvm_intel was loaded with
// dump_invalid_vmcs=1, dump_vmcs() prints most fields of the VMCS in its own words; which words,
// was read from the format strings in Debian's linux-source-6.1 and linux-source-6.12.
#include "dump.hpp"

#include <array>

namespace doctor {

namespace {

using vtx::Field16;
using vtx::Field32;
using vtx::Field64;
using vtx::FieldNatural;

enum class Section { none, guest, host, control };

struct Label {
    Section section;       // where the label has this meaning; none: anywhere
    std::string_view text; // the value, hexadecimal, follows
    std::uint32_t encoding;
};

template <class F> constexpr std::uint32_t e(F field) { return vtx::field_encoding(field); }

// Every label that is followed by one value. One line can hold several. A label counts only at the
// start of a line or behind a blank, and the first one that fits counts.
constexpr Label labels[] = {
    {Section::guest, "RSP = ", e(FieldNatural::guest_rsp)},
    {Section::guest, "RIP = ", e(FieldNatural::guest_rip)},
    {Section::guest, "CR3 = ", e(FieldNatural::guest_cr3)},
    {Section::guest, "PDPTR0 = ", e(Field64::guest_pdpte_0)},
    {Section::guest, "PDPTR1 = ", e(Field64::guest_pdpte_1)},
    {Section::guest, "PDPTR2 = ", e(Field64::guest_pdpte_2)},
    {Section::guest, "PDPTR3 = ", e(Field64::guest_pdpte_3)},
    {Section::guest, "RFLAGS=", e(FieldNatural::guest_rflags)},
    {Section::guest, "DR7 = ", e(FieldNatural::guest_dr7)},
    {Section::guest, "Sysenter RSP=", e(FieldNatural::guest_sysenter_esp)},
    {Section::guest, "PAT = ", e(Field64::guest_pat)},
    {Section::guest, "DebugCtl = ", e(Field64::guest_debugctl)},
    {Section::guest, "DebugExceptions = ", e(FieldNatural::guest_pending_debug_exceptions)},
    {Section::guest, "PerfGlobCtl = ", e(Field64::guest_perf_global_ctrl)},
    {Section::guest, "BndCfgS = ", e(Field64::guest_bndcfgs)},
    {Section::guest, "Interruptibility = ", e(Field32::guest_interruptibility)},
    {Section::guest, "ActivityState = ", e(Field32::guest_activity_state)},
    {Section::guest, "InterruptStatus = ", e(Field16::guest_interrupt_status)},

    {Section::host, "RIP = ", e(FieldNatural::host_rip)},
    {Section::host, "RSP = ", e(FieldNatural::host_rsp)},
    {Section::host, "CS=", e(Field16::host_cs_selector)},
    {Section::host, "SS=", e(Field16::host_ss_selector)},
    {Section::host, "DS=", e(Field16::host_ds_selector)},
    {Section::host, "ES=", e(Field16::host_es_selector)},
    {Section::host, "FS=", e(Field16::host_fs_selector)},
    {Section::host, "GS=", e(Field16::host_gs_selector)},
    {Section::host, "TR=", e(Field16::host_tr_selector)},
    {Section::host, "FSBase=", e(FieldNatural::host_fs_base)},
    {Section::host, "GSBase=", e(FieldNatural::host_gs_base)},
    {Section::host, "TRBase=", e(FieldNatural::host_tr_base)},
    {Section::host, "GDTBase=", e(FieldNatural::host_gdtr_base)},
    {Section::host, "IDTBase=", e(FieldNatural::host_idtr_base)},
    {Section::host, "CR0=", e(FieldNatural::host_cr0)},
    {Section::host, "CR3=", e(FieldNatural::host_cr3)},
    {Section::host, "CR4=", e(FieldNatural::host_cr4)},
    {Section::host, "Sysenter RSP=", e(FieldNatural::host_sysenter_esp)},
    {Section::host, "EFER= ", e(Field64::host_efer)},
    {Section::host, "PAT = ", e(Field64::host_pat)},
    {Section::host, "PerfGlobCtl = ", e(Field64::host_perf_global_ctrl)},

    {Section::control, "PinBased=", e(Field32::pin_based_controls)},
    {Section::control, "CPUBased=", e(Field32::primary_controls)},
    {Section::control, "SecondaryExec=", e(Field32::secondary_controls)},
    {Section::control, "TertiaryExec=", e(Field64::tertiary_controls)},
    {Section::control, "EntryControls=", e(Field32::entry_controls)},
    {Section::control, "ExitControls=", e(Field32::exit_controls)},
    {Section::control, "ExceptionBitmap=", e(Field32::exception_bitmap)},
    {Section::control, "PFECmask=", e(Field32::page_fault_error_code_mask)},
    {Section::control, "PFECmatch=", e(Field32::page_fault_error_code_match)},
    {Section::control, "reason=", e(Field32::exit_reason)},
    {Section::control, "qualification=", e(FieldNatural::exit_qualification)},
    {Section::control, "TSC Offset = ", e(Field64::tsc_offset)},
    {Section::control, "TSC Multiplier = ", e(Field64::tsc_multiplier)},
    {Section::control, "TPR Threshold = ", e(Field32::tpr_threshold)},
    {Section::control, "APIC-access addr = ", e(Field64::apic_access_address)},
    {Section::control, "virt-APIC addr = ", e(Field64::virtual_apic_address)},
    {Section::control, "PostedIntrVec = ", e(Field16::posted_interrupt_vector)},
    {Section::control, "EPT pointer = ", e(Field64::ept_pointer)},
    {Section::control, "PLE Gap=", e(Field32::ple_gap)},
    {Section::control, "Window=", e(Field32::ple_window)},
    {Section::control, "Virtual processor ID = ", e(Field16::vpid)},
    {Section::control, "VE info address = ", e(Field64::ve_information_address)},
};

// The three lines about events: a first word, then three (or two) values.
struct EventLine {
    std::string_view start;
    std::uint32_t info, error_code, length; // 0: not there
};

constexpr EventLine event_lines[] = {
    {"VMEntry:", e(Field32::entry_interruption_information), e(Field32::entry_exception_error_code),
     e(Field32::entry_instruction_length)},
    {"VMExit:", e(Field32::exit_interruption_information), e(Field32::exit_interruption_error_code),
     e(Field32::exit_instruction_length)},
    {"IDTVectoring:", e(Field32::idt_vectoring_information), e(Field32::idt_vectoring_error_code),
     0},
};

// Segment registers and descriptor tables: "CS:   sel=..., attr=..., limit=..., base=...".
struct SegmentLine {
    std::string_view start;
    std::uint32_t selector, rights, limit, base; // 0: not there
};

constexpr SegmentLine segment_lines[] = {
#define SEGMENT(start, name)                                                                       \
    {                                                                                              \
        start, e(Field16::guest_##name##_selector), e(Field32::guest_##name##_access_rights),      \
            e(Field32::guest_##name##_limit), e(FieldNatural::guest_##name##_base)                 \
    }
    SEGMENT("CS:", cs),
    SEGMENT("DS:", ds),
    SEGMENT("SS:", ss),
    SEGMENT("ES:", es),
    SEGMENT("FS:", fs),
    SEGMENT("GS:", gs),
    SEGMENT("LDTR:", ldtr),
    SEGMENT("TR:", tr),
#undef SEGMENT
    {"GDTR:", 0, 0, e(Field32::guest_gdtr_limit), e(FieldNatural::guest_gdtr_base)},
    {"IDTR:", 0, 0, e(Field32::guest_idtr_limit), e(FieldNatural::guest_idtr_base)},
};

bool starts(std::string_view text, std::string_view with) {
    return text.substr(0, with.size()) == with;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

bool hex_digit(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Drops "[  123.456789]" and "[    T42]", if the line starts so.
std::string_view without_bracket(std::string_view line) {
    if (!starts(line, "[")) {
        return line;
    }
    const std::size_t end = line.find(']');
    if (end == std::string_view::npos || end > 40) {
        return line;
    }
    for (const char c : line.substr(1, end - 1)) {
        if (!digit(c) && c != ' ' && c != '.' && c != 'T' && c != 'C' && c != ':' && c != '-' &&
            c != '+' && c != ',') {
            return line;
        }
    }
    line.remove_prefix(end + 1);
    return starts(line, " ") ? line.substr(1) : line;
}

/// Drops what logging puts before the words of dump_vmcs(): the priority "<3>", the host and the
/// time that syslog and journalctl print up to "kernel: ", the kernel's time, the module's name.
std::string_view without_prefix(std::string_view line) {
    if (line.size() > 3 && line[0] == '<') {
        const std::size_t end = line.find('>');
        if (end != std::string_view::npos && end < 5) {
            line.remove_prefix(end + 1);
        }
    }
    const std::size_t kernel = line.find("kernel: ");
    if (kernel != std::string_view::npos) {
        line.remove_prefix(kernel + 8);
    }
    line = without_bracket(without_bracket(line));
    for (const std::string_view module : {"kvm_intel: ", "kvm: "}) {
        if (starts(line, module)) {
            line.remove_prefix(module.size());
        }
    }
    return line;
}

/// The hexadecimal digits at the start of a text, with or without 0x; nothing if there are none, or
/// more than 64 bits.
std::optional<std::uint64_t> leading_hex(std::string_view text) {
    if (starts(text, "0x")) {
        text.remove_prefix(2);
    }
    std::uint64_t value = 0;
    std::size_t count = 0;
    while (count < text.size() && hex_digit(text[count])) {
        ++count;
    }
    if (count == 0 || count > 16 || (count < text.size() && text[count] == 'x')) {
        return std::nullopt;
    }
    for (const char c : text.substr(0, count)) {
        const int nibble = digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
        value = (value << 4) | static_cast<unsigned>(nibble);
    }
    return value;
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

/// How many hexadecimal digits a text starts with, behind an optional 0x.
std::size_t digits(std::string_view text) {
    if (starts(text, "0x")) {
        text.remove_prefix(2);
    }
    std::size_t count = 0;
    while (count < text.size() && hex_digit(text[count])) {
        ++count;
    }
    return count;
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

constexpr std::string_view first_line = "last attempted VM-entry on CPU";
constexpr std::string_view guest_heading = "*** Guest State ***";
constexpr std::string_view host_heading = "*** Host State ***";
constexpr std::string_view control_heading = "*** Control State ***";

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
        Dump &dump = reading_.dumps.back();
        if (!seen_guest_) {
            dump.warnings.emplace_back("the part \"Guest State\" is missing");
        }
        if (!seen_host_) {
            dump.warnings.emplace_back("the part \"Host State\" is missing");
        }
        if (!seen_control_) {
            dump.warnings.emplace_back("the part \"Control State\" is missing");
        }
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
        seen_guest_ = seen_host_ = seen_control_ = false;
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
        const auto number = leading_hex(text);
        const std::string name = vtx::field_name(encoding);
        if (!number || digits(text) < printed_digits(encoding)) {
            return "the value of " + name + " is cut off or is not hexadecimal";
        }
        const unsigned bits = vtx::field_bits(vtx::field_width(encoding));
        if (bits < 64 && (*number >> bits) != 0) {
            return name + " has only " + std::to_string(bits) + " bits";
        }
        vtx::VmcsSnapshot &vmcs = reading_.dumps.back().vmcs;
        const auto before = vmcs.find(encoding);
        if (before && *before != *number) {
            return name + " was printed before with another value";
        }
        vmcs.set(encoding, *number);
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

    void set_count(Field32 field, std::uint32_t count) {
        reading_.dumps.back().vmcs.set(field, count);
    }

    Reading &reading_;
    Section section_ = Section::none;
    bool seen_guest_ = false;
    bool seen_host_ = false;
    bool seen_control_ = false;
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
    while (const auto line = lines.next()) {
        if (const auto wrong = reader.line(*line, lines.number())) {
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
