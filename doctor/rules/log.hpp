// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Tells a verdict in the kernel log. Not inside a scope: it prints.
#pragma once

#include "doctor/rules/entry_checks.hpp"
#include "kernel.h"

#include <bit>

namespace vtx::entry_checks {

/// One line at error level for each finding: the rule, the field with its encoding and value, what
/// must hold, the bits at fault, and where the SDM says so.
inline void log_finding(const Finding &finding) {
    using ull = unsigned long long;
    const Rule &rule = all_rules[finding.rule];
    const SdmReference sdm = sdm_reference(rule.sdm);
    const char *const space = *sdm.number != 0 ? " " : "";
    if (finding.entry != 0) {
        vtx_log_error(
            "%s: entry %u of the MSR-load list, MSR %#llx: %s (SDM, %s%s%s)", rule.id,
            finding.entry, static_cast<ull>(finding.value), rule.must, sdm.title, space,
            sdm.number);
        return;
    }
    if (rule.failure == FailureClass::suspicious) { // the whole value, so no bit is named
        vtx_log_error(
            "%s: %s (%04xH) is %#llx: %s (suspicious: legal, but hardly meant; SDM, %s%s%s)",
            rule.id, field_name(finding.field), finding.field, static_cast<ull>(finding.value),
            rule.must, sdm.title, space, sdm.number);
        return;
    }
    vtx_log_error(
        "%s: %s (%04xH) is %#llx: %s; at fault: %#llx (SDM, %s%s%s)", rule.id,
        field_name(finding.field), finding.field, static_cast<ull>(finding.value), rule.must,
        static_cast<ull>(finding.bits), sdm.title, space, sdm.number);
}

/// Logs what no rule forbids but the host would not survive.
inline void log_suspicions(const Verdict &verdict) {
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        if (all_rules[verdict.findings[i].rule].failure == FailureClass::suspicious) {
            log_finding(verdict.findings[i]);
        }
    }
}

/// Tells all findings, and the outcome. If nothing is broken it says so, and which rules could not
/// be decided, and why.
inline void log_verdict(const Verdict &verdict) {
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        log_finding(verdict.findings[i]);
    }
    if (verdict.dropped != 0) {
        vtx_log_error("... and %u more findings", verdict.dropped);
    }
    const Prediction &ends = verdict.prediction;
    const unsigned set = ends.qualifications;
    if (ends.msr_entry != 0 || (set != 0 && (set & (set - 1)) == 0)) {
        const auto qualification =
            ends.msr_entry != 0 ? ends.msr_entry : static_cast<unsigned>(std::countr_zero(set));
        vtx_log_error(
            "doctor: a VM entry gives %s; qualification %u", outcome_text(ends), qualification);
        return;
    }
    if (!verdict.sound()) {
        vtx_log_error("doctor: a VM entry gives %s", outcome_text(ends));
        return;
    }
    unsigned undecided = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        const std::uint16_t reason = verdict.undecided[i];
        if (reason != Undecided::no) {
            undecided++;
            vtx_log(
                "doctor: %s is undecided: %s%s", all_rules[i].id, undecided_text(reason),
                Undecided::is_field(reason) ? " is unknown" : "");
        }
    }
    vtx_log(
        "doctor: none of %u rules of VM entry is broken, %u could not be decided",
        static_cast<unsigned>(rule_count), undecided);
}

} // namespace vtx::entry_checks
