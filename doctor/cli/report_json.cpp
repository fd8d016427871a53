// SPDX-License-Identifier: GPL-2.0-only
// Tells the verdict to programs.
#include "doctor.hpp"

#include <cstdio>
#include <ostream>

namespace doctor {

using namespace vtx::entry_checks;

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

namespace {

constexpr const char *class_names[] = {"broken", "possible", "suspicious"};

/// Prints a list with commas between what `print` prints for each element.
template <class List, class Print>
void print_list(std::ostream &out, const List &list, Print print) {
    const char *before = "";
    out << '[';
    for (const auto &element : list) {
        out << before;
        print(element);
        before = ", ";
    }
    out << ']';
}

/// What findings of all classes have in common; the object stays open.
void open_finding(
    std::ostream &out, const char *before, Class which, const Rule &rule, std::uint32_t field) {
    const SdmReference sdm = sdm_reference(rule.sdm);
    out << before << "\n  {\"class\": \"" << class_names[static_cast<int>(which)]
        << "\", \"rule\": " << json_string(rule.id)
        << ", \"field\": " << json_string(vtx::field_name(field))
        << ", \"encoding\": " << json_string(hex(field)) << ", \"must\": " << json_string(rule.must)
        << ", \"outcome\": " << json_string(failure_name(rule.failure))
        << ", \"sdm_title\": " << json_string(sdm.title)
        << ", \"sdm_number\": " << json_string(sdm.number);
}

void print_findings(std::ostream &out, const Examined &examined) {
    const char *before = "";
    out << '[';
    for (std::uint32_t i = 0; i < examined.verdict.count; ++i) {
        const Finding &finding = examined.verdict.findings[i];
        open_finding(out, before, class_of(finding), all_rules[finding.rule], finding.field);
        out << ", \"value\": " << json_string(hex(finding.value))
            << ", \"bits\": " << json_string(hex(finding.bits)) << ", \"entry\": " << finding.entry
            << '}';
        before = ",";
    }
    for (const Possible &possible : examined.possible) {
        open_finding(out, before, Class::possible, all_rules[possible.rule], possible.field);
        out << ", \"value\": " << (possible.value ? json_string(hex(*possible.value)) : "null")
            << ", \"bits\": " << json_string(hex(possible.bits))
            << ", \"entry\": 0, \"when\": " << json_string(possible.when) << '}';
        before = ",";
    }
    out << ']';
}

void print_undecided(std::ostream &out, const Verdict &verdict) {
    const char *before = "";
    out << '[';
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (verdict.undecided[i] != Undecided::no) {
            out << before << "\n  {\"rule\": " << json_string(all_rules[i].id)
                << ", \"because\": " << json_string(because(verdict.undecided[i])) << '}';
            before = ",";
        }
    }
    out << ']';
}

void print_prediction(std::ostream &out, const Examined &examined) {
    const Prediction &ends = examined.verdict.prediction;
    const auto flag = [](bool value) { return value ? "true" : "false"; };
    std::vector<unsigned> qualifications;
    for (unsigned i = 0; i < 8; ++i) {
        if (((ends.qualifications >> i) & 1u) != 0) {
            qualifications.push_back(i);
        }
    }
    out << "{\"enters\": " << flag(ends.enters) << ", \"error_7\": " << flag(ends.error_7)
        << ", \"error_8\": " << flag(ends.error_8) << ", \"qualifications_of_33\": ";
    print_list(out, qualifications, [&out](unsigned number) { out << number; });
    out << ", \"qualification_of_34\": " << ends.msr_entry
        << ", \"undefined\": " << flag(ends.undefined) << ", \"certain\": " << flag(ends.certain)
        << ", \"text\": " << json_string(outcome(examined)) << '}';
}

} // namespace

void print_json(std::ostream &out, const Examined &examined) {
    const Dump &dump = *examined.dump;
    out << "{\"line\": " << dump.line
        << ", \"format\": " << (dump.format == Format::kvm ? "\"kvm\"" : "\"own\"")
        << ", \"fields_known\": " << dump.vmcs.known_count()
        << ", \"processor\": " << json_string(examined.processor->source) << ",\n \"missing\": ";
    print_list(out, dump.missing, [&out](const std::string &part) { out << json_string(part); });
    out << ",\n \"notes\": ";
    print_list(out, dump.notes, [&out](const Note &note) {
        out << "{\"line\": " << note.line << ", \"text\": " << json_string(note.text) << '}';
    });
    out << ",\n \"findings\": ";
    print_findings(out, examined);
    out << ",\n \"findings_dropped\": " << examined.verdict.dropped << ",\n \"undecided\": ";
    print_undecided(out, examined.verdict);
    out << ",\n \"prediction\": ";
    print_prediction(out, examined);
    out << ",\n \"observed\": " << json_string(observed_text(examined.observed)) << '}';
}

} // namespace doctor
