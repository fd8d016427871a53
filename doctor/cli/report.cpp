// SPDX-License-Identifier: GPL-2.0-only
// Tells the verdict to people.
#include "doctor.hpp"

#include <cstdio>
#include <ostream>

namespace doctor {

using namespace vtx::entry_checks;

namespace {

std::size_t undecided_count(const Verdict &verdict) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        count += verdict.undecided[i] != Undecided::no ? 1u : 0u;
    }
    return count;
}

/// True if a broken rule can have led to the failure that the dump reports.
bool explains(const Examined &examined) {
    for (std::uint32_t i = 0; i < examined.verdict.count; ++i) {
        const Finding &finding = examined.verdict.findings[i];
        if (class_of(finding) == Class::broken &&
            examined.observed.can_be(all_rules[finding.rule].failure)) {
            return true;
        }
    }
    return false;
}

} // namespace

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string because(std::uint16_t reason) {
    return std::string(undecided_text(reason)) + (Undecided::is_field(reason) ? " is unknown" : "");
}

bool inconclusive(const Examined &examined) {
    return examined.count(Class::broken) == 0 && !examined.dump->missing.empty();
}

std::string outcome(const Examined &examined) {
    if (inconclusive(examined)) {
        return "unknown, because the dump is incomplete";
    }
    const Prediction &ends = examined.verdict.prediction;
    if (ends.enters && undecided_count(examined.verdict) * 2 > rule_count) {
        return "unknown, because most rules could not be decided";
    }
    std::string text = outcome_text(ends);
    if (ends.qualifications != 0) {
        std::string numbers;
        for (unsigned i = 0; i < 8; ++i) {
            if (((ends.qualifications >> i) & 1u) != 0) {
                numbers += (numbers.empty() ? "" : " or ") + std::to_string(i);
            }
        }
        text += "; exit qualification " + numbers;
    } else if (ends.msr_entry != 0) {
        text += "; exit qualification " + std::to_string(ends.msr_entry);
    }
    return text;
}

std::string observed_text(const Observed &observed) {
    if (observed.error != 0) {
        return "VM-instruction error " + std::to_string(observed.error) +
               " (the last one there was)";
    }
    if (observed.exit_reason == 0) {
        return "";
    }
    std::string text = "exit reason " + std::to_string(observed.exit_reason) + " with bit 31";
    if (!observed.has_qualification) {
        return text;
    }
    text += ", qualification " + std::to_string(observed.qualification);
    if (observed.exit_reason == 33 && observed.qualification != 0) {
        text += std::string{" ("} + vtx::entry_failure_text(observed.qualification) + ')';
    } else if (observed.exit_reason == 34) {
        text += " (the number of the bad entry in the MSR-load list)";
    }
    return text;
}

namespace {

/// The id of a rule, as wide as the widest and a blank.
std::string column(const std::string &id) {
    std::string text = id;
    text.resize(5, ' ');
    return text;
}

/// An encoding as the SDM prints it: "681EH".
std::string sdm_hex(std::uint32_t encoding) {
    char text[16];
    std::snprintf(text, sizeof(text), "%04XH", encoding);
    return text;
}

std::string where(const Rule &rule) {
    const SdmReference sdm = sdm_reference(rule.sdm);
    const std::string title = std::string("SDM, \"") + sdm.title + '"';
    return *sdm.number != 0 ? title + ", vol. 3C " + sdm.number + " (325384-059US)"
                            : title + ", in editions newer than 2016";
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

/// One finding: its head is printed already.
void print_rule(std::ostream &out, const Rule &rule, const std::string &before) {
    out << "\n     " << before << rule.must << "\n     ";
    if (rule.failure == FailureClass::suspicious) {
        out << "suspicious: legal, but hardly meant";
    } else {
        out << failure_name(rule.failure);
    }
    out << "; " << where(rule) << '\n';
}

void print_finding(std::ostream &out, const Finding &finding) {
    const Rule &rule = all_rules[finding.rule];
    out << '\n' << column(rule.id);
    if (finding.entry != 0) {
        out << "entry " << finding.entry << " of the VM-entry MSR-load list, MSR "
            << hex(finding.value);
    } else {
        out << vtx::field_name(finding.field) << " (" << sdm_hex(finding.field)
            << ") = " << hex(finding.value);
        if (finding.bits != 0) {
            out << ", bits at fault " << hex(finding.bits);
        }
    }
    print_rule(out, rule, "");
}

void print_possible(std::ostream &out, const Possible &possible) {
    const Rule &rule = all_rules[possible.rule];
    out << '\n'
        << column(std::string{rule.id} + '?') << vtx::field_name(possible.field) << " ("
        << sdm_hex(possible.field) << ')';
    if (possible.value) {
        out << " = " << hex(*possible.value);
    } else {
        out << ", which the dump does not have";
    }
    if (possible.bits != 0) {
        out << ", bits at fault " << hex(possible.bits);
    }
    print_rule(out, rule, "possible " + possible.when + ": ");
}

void print_undecided(std::ostream &out, const Verdict &verdict) {
    out << "\nUndecided:\n";
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (verdict.undecided[i] != Undecided::no) {
            out << "  " << column(all_rules[i].id) << because(verdict.undecided[i]) << '\n';
        }
    }
}

/// The entry failed and no rule is broken: lists what could not be decided about it.
void print_open_questions(std::ostream &out, const Examined &examined) {
    out << "The doctor has not found the reason. Still open:\n";
    if (!examined.processor->exact) {
        out << "  whether this processor has each control, feature and address bit that is used: "
               "say so with --cpu\n";
    }
    for (std::size_t i = 0; i < rule_count; ++i) {
        const std::uint16_t reason = examined.verdict.undecided[i];
        if (reason != Undecided::no && examined.observed.can_be(all_rules[i].failure) &&
            all_rules[i].failure != FailureClass::suspicious) {
            out << "  " << column(all_rules[i].id) << because(reason) << '\n';
        }
    }
}

/// "1 finding, 2 possible, 1 suspicious".
std::string counts(const Examined &examined) {
    const std::size_t broken = examined.count(Class::broken);
    std::string text = std::to_string(broken) + (broken == 1 ? " finding" : " findings");
    if (const std::size_t possible = examined.count(Class::possible); possible != 0) {
        text += ", " + std::to_string(possible) + " possible";
    }
    if (const std::size_t suspicious = examined.count(Class::suspicious); suspicious != 0) {
        text += ", " + std::to_string(suspicious) + " suspicious";
    }
    return text;
}

} // namespace

void print_text(std::ostream &out, const Examined &examined, bool undecided) {
    const Dump &dump = *examined.dump;
    const Verdict &verdict = examined.verdict;
    out << "VMCS at line " << dump.line << ": " << dump.vmcs.known_count() << " of "
        << vtx::field_count << " fields known"
        << (dump.format == Format::kvm ? ", printed by Linux KVM" : "")
        << "\nProcessor: " << examined.processor->source;
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
    for (const Possible &possible : examined.possible) {
        print_possible(out, possible); // then nothing else explains a failure
    }
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        print_finding(out, verdict.findings[i]);
    }
    if (verdict.dropped != 0) {
        out << "\n... and " << verdict.dropped << " more findings\n";
    }
    const std::size_t open = undecided_count(verdict);
    if (undecided && open != 0) {
        print_undecided(out, verdict);
    }
    out << '\n'
        << counts(examined) << (dump.missing.empty() ? "; " : " in what is there; ") << open
        << " of " << rule_count << " rules undecided"
        << (open != 0 && !undecided ? " (--undecided lists them)" : "")
        << "\nA VM entry gives: " << outcome(examined)
        << (verdict.prediction.certain || inconclusive(examined) ? "" : ", as far as can be known")
        << '\n';
    if (!examined.observed.failed()) {
        return;
    }
    out << "The dump says:    " << observed_text(examined.observed) << '\n';
    if (inconclusive(examined)) {
        out << "The field that is at fault may be in one of the missing lines.\n";
    } else if (examined.count(Class::broken) == 0) {
        print_open_questions(out, examined);
    } else if (!explains(examined)) {
        out << "These differ. A value may have been misread, or the lines may be of two dumps.\n";
    }
}

} // namespace doctor
