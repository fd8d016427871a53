// SPDX-License-Identifier: GPL-2.0-only
// Examines a dump, and tells the verdict, to people and to programs.
#include "doctor.hpp"

#include <cstdio>
#include <ostream>

namespace doctor {

namespace {

using namespace vtx::entry_checks;

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

/// The id of a rule, as wide as the widest and a blank.
std::string column(const Rule &rule) {
    std::string text = rule.id;
    text.resize(5, ' ');
    return text;
}

/// An encoding as the SDM prints it: "681EH".
std::string sdm_hex(std::uint32_t encoding) {
    char text[16];
    std::snprintf(text, sizeof(text), "%04XH", encoding);
    return text;
}

/// Why a rule is undecided.
std::string because(std::uint16_t reason) {
    return std::string(undecided_text(reason)) + (Undecided::is_field(reason) ? " is unknown" : "");
}

std::string where(const SdmReference &sdm) {
    const std::string title = std::string("SDM, \"") + sdm.title + '"';
    return *sdm.number != 0 ? title + ", vol. 3C " + sdm.number + " (325384-059US)"
                            : title + ", in editions newer than 2016";
}

/// The qualifications that are possible, as "0" or "0 or 4".
std::string qualifications(std::uint8_t set) {
    std::string text;
    for (unsigned i = 0; i < 8; ++i) {
        if (((set >> i) & 1u) != 0) {
            text += (text.empty() ? "" : " or ") + std::to_string(i);
        }
    }
    return text;
}

std::size_t undecided_count(const Verdict &verdict) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        count += verdict.undecided[i] != Undecided::no ? 1u : 0u;
    }
    return count;
}

/// True if nothing is broken in what is there of a dump that lacks lines.
bool inconclusive(const Examined &examined) {
    return examined.verdict.sound() && !examined.dump->missing.empty();
}

std::string outcome(const Examined &examined) {
    if (inconclusive(examined)) {
        return "unknown, because the dump is incomplete";
    }
    const Prediction &ends = examined.verdict.prediction;
    std::string text = outcome_text(ends);
    if (ends.qualifications != 0) {
        text += "; exit qualification " + qualifications(ends.qualifications);
    } else if (ends.msr_entry != 0) {
        text += "; exit qualification " + std::to_string(ends.msr_entry);
    }
    return text;
}

/// What the dump itself says of the failure, if it does.
std::string observed(const vtx::VmcsSnapshot &vmcs) {
    const auto reason = vmcs.find(vtx::field_encoding(vtx::Field32::exit_reason));
    if (reason && (*reason >> 31) != 0) {
        std::string text = "exit reason " + std::to_string(*reason & 0xffff) + " with bit 31";
        const auto more = vmcs.find(vtx::field_encoding(vtx::FieldNatural::exit_qualification));
        return more ? text + ", qualification " + std::to_string(*more) : text;
    }
    const auto error = vmcs.find(vtx::field_encoding(vtx::Field32::vm_instruction_error));
    if (error && (*error == 7 || *error == 8)) {
        return "VM-instruction error " + std::to_string(*error) + " (the last one there was)";
    }
    return "";
}

/// What was not used of the input.
void print_notes(std::ostream &out, const std::vector<Note> &notes) {
    constexpr std::size_t shown = 10;
    for (std::size_t i = 0; i < notes.size() && i < shown; ++i) {
        out << (i == 0 ? "Mind:\n  " : "  ");
        if (notes[i].line != 0) {
            out << "line " << notes[i].line << ' ';
        }
        out << notes[i].text << '\n';
    }
    if (notes.size() > shown) {
        out << "  and " << notes.size() - shown << " more of the kind\n";
    }
}

bool read_memory(const void *context, std::uint64_t address, std::uint64_t &value) {
    const auto &memory = static_cast<const Dump *>(context)->memory;
    const auto word = memory.find(address & ~std::uint64_t{7});
    if (word == memory.end()) {
        return false;
    }
    value = word->second >> (8 * (address & 7));
    return true;
}

} // namespace

Examined examine(const Dump &dump, const Processor &processor) {
    Examined examined{&dump, &processor, {}};
    vtx::ProcessorDescription cpu = processor.description;
    apply(dump.processor, cpu);
    vtx::EntrySituation situation;
    situation.current_vmcs = dump.current_vmcs;
    situation.ia32e_mode = dump.host_ia32e_mode.value_or(true);
    if (!dump.memory.empty()) {
        situation.memory = {read_memory, &dump};
    }
    vtx::entry_checks::examine(dump.vmcs, cpu, situation, examined.verdict);
    if (!dump.missing.empty()) {
        examined.verdict.prediction.enters = examined.verdict.prediction.certain = false;
    }
    return examined;
}

void print_text(std::ostream &out, const Examined &examined, bool undecided) {
    const Dump &dump = *examined.dump;
    const Verdict &verdict = examined.verdict;
    out << "VMCS at line " << dump.line << ": " << dump.vmcs.known_count() << " of "
        << vtx::field_count << " fields known"
        << (dump.format == Format::kvm ? ", printed by Linux KVM" : "") << "\nProcessor: ";
    out << examined.processor->source;
    if (!dump.processor.empty()) {
        out << (dump.processor.size() == 1
                    ? "; 1 value"
                    : "; " + std::to_string(dump.processor.size()) + " values")
            << " from the dump itself";
    }
    out << '\n';
    if (!dump.missing.empty()) {
        out << "Incomplete: this dump lacks lines that KVM always prints, "
               "or has them in a form that is not known here:\n";
        for (const std::string &part : dump.missing) {
            out << "  " << part << '\n';
        }
    }
    print_notes(out, dump.notes);
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        const Rule &rule = all_rules[finding.rule];
        out << '\n' << column(rule);
        if (finding.entry != 0) {
            out << "entry " << finding.entry << " of the VM-entry MSR-load list, MSR "
                << hex(finding.value);
        } else {
            out << vtx::field_name(finding.field) << " (" << sdm_hex(finding.field)
                << ") = " << hex(finding.value) << ", bits at fault " << hex(finding.bits);
        }
        out << "\n     " << rule.must << "\n     " << failure_name(rule.failure) << "; "
            << where(sdm_reference(rule.sdm)) << '\n';
    }
    if (verdict.dropped != 0) {
        out << "\n... and " << verdict.dropped << " more findings\n";
    }
    const std::size_t open = undecided_count(verdict);
    if (undecided && open != 0) {
        out << "\nUndecided:\n";
        for (std::size_t i = 0; i < rule_count; ++i) {
            if (verdict.undecided[i] != Undecided::no) {
                out << "  " << column(all_rules[i]) << because(verdict.undecided[i]) << '\n';
            }
        }
    }
    const std::size_t found = std::size_t{verdict.count} + verdict.dropped;
    out << '\n'
        << found << (found == 1 ? " finding" : " findings")
        << (dump.missing.empty() ? "; " : " in what is there; ") << open << " of " << rule_count
        << " rules undecided" << (open != 0 && !undecided ? " (--undecided lists them)" : "")
        << "\nA VM entry gives: " << outcome(examined)
        << (verdict.prediction.certain || inconclusive(examined) ? "" : ", as far as can be known")
        << '\n';
    const std::string seen = observed(dump.vmcs);
    if (!seen.empty()) {
        out << "The dump says:    " << seen << '\n';
        if (inconclusive(examined)) {
            out << "The field that is at fault may be in one of the missing lines.\n";
        } else if (verdict.sound()) {
            out << "What failed is not among the rules that could be decided"
                << (examined.processor->exact ? "" : ", or needs --cpu") << ".\n";
        }
    }
}

std::string json_string(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20 || byte >= 0x7f) {
            // Input may be in any character set: say which byte it was.
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
            result += escape;
        } else {
            result += c;
        }
    }
    return result + '"';
}

void print_json(std::ostream &out, const Examined &examined) {
    const Dump &dump = *examined.dump;
    const Verdict &verdict = examined.verdict;
    const Prediction &ends = verdict.prediction;
    out << "{\"line\": " << dump.line
        << ", \"format\": " << (dump.format == Format::kvm ? "\"kvm\"" : "\"own\"")
        << ", \"fields_known\": " << dump.vmcs.known_count()
        << ", \"processor\": " << json_string(examined.processor->source) << ", \"missing\": [";
    for (std::size_t i = 0; i < dump.missing.size(); ++i) {
        out << (i != 0 ? ", " : "") << json_string(dump.missing[i]);
    }
    out << "], \"notes\": [";
    for (std::size_t i = 0; i < dump.notes.size(); ++i) {
        out << (i != 0 ? ", " : "") << "{\"line\": " << dump.notes[i].line
            << ", \"text\": " << json_string(dump.notes[i].text) << '}';
    }
    out << "],\n \"findings\": [";
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        const Rule &rule = all_rules[finding.rule];
        const SdmReference sdm = sdm_reference(rule.sdm);
        out << (i != 0 ? "," : "") << "\n  {\"rule\": " << json_string(rule.id)
            << ", \"field\": " << json_string(vtx::field_name(finding.field))
            << ", \"encoding\": " << json_string(hex(finding.field))
            << ", \"value\": " << json_string(hex(finding.value))
            << ", \"bits\": " << json_string(hex(finding.bits)) << ", \"entry\": " << finding.entry
            << ", \"must\": " << json_string(rule.must)
            << ", \"outcome\": " << json_string(failure_name(rule.failure))
            << ", \"sdm_title\": " << json_string(sdm.title)
            << ", \"sdm_number\": " << json_string(sdm.number) << '}';
    }
    out << "],\n \"findings_dropped\": " << verdict.dropped << ",\n \"undecided\": [";
    bool first = true;
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (verdict.undecided[i] != Undecided::no) {
            out << (first ? "" : ",") << "\n  {\"rule\": " << json_string(all_rules[i].id)
                << ", \"because\": " << json_string(because(verdict.undecided[i])) << '}';
            first = false;
        }
    }
    out << "],\n \"prediction\": {\"enters\": " << (ends.enters ? "true" : "false")
        << ", \"error_7\": " << (ends.error_7 ? "true" : "false")
        << ", \"error_8\": " << (ends.error_8 ? "true" : "false")
        << ", \"qualifications_of_33\": [";
    first = true;
    for (unsigned i = 0; i < 8; ++i) {
        if (((ends.qualifications >> i) & 1u) != 0) {
            out << (first ? "" : ", ") << i;
            first = false;
        }
    }
    out << "], \"qualification_of_34\": " << ends.msr_entry
        << ", \"undefined\": " << (ends.undefined ? "true" : "false")
        << ", \"certain\": " << (ends.certain ? "true" : "false")
        << ", \"text\": " << json_string(outcome(examined))
        << "},\n \"observed\": " << json_string(observed(dump.vmcs)) << '}';
}

} // namespace doctor
