// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Tells a verdict in the kernel log. Not inside a scope: it prints.
#pragma once

#include "kernel.h"
#include "vmx/entry_checks/entry_checks.hpp"

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
    vtx_log_error(
        "%s: %s (%04xH) is %#llx: %s; at fault: %#llx (SDM, %s%s%s)", rule.id,
        field_name(finding.field), finding.field, static_cast<ull>(finding.value), rule.must,
        static_cast<ull>(finding.bits), sdm.title, space, sdm.number);
}

/// Tells all findings, and the outcome. If nothing is broken it says so, and how many rules could
/// not be decided.
inline void log_verdict(const Verdict &verdict) {
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        log_finding(verdict.findings[i]);
    }
    if (verdict.dropped != 0) {
        vtx_log_error("... and %u more findings", verdict.dropped);
    }
    unsigned undecided = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        undecided += verdict.undecided[i] != Undecided::no ? 1 : 0;
    }
    if (verdict.sound()) {
        vtx_log(
            "doctor: none of %u rules of VM entry is broken, %u could not be decided",
            static_cast<unsigned>(rule_count), undecided);
    } else {
        vtx_log_error("doctor: a VM entry gives %s", outcome_text(verdict.prediction));
    }
}

} // namespace vtx::entry_checks
