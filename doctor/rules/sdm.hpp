// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where the rules of VM entry are in the SDM, in the words that a finding prints: the title first,
/// because it does not change, then the number in the pinned edition.
#pragma once

namespace vtx::entry_checks {

/// A section of the SDM.
struct SdmSection {
    const char *key;    ///< As in \\sdm{...} and docs/sdm.toml.
    const char *title;  ///< "VM-Entry Control Fields".
    const char *number; ///< In volume 3C of 325384-059US, June 2016: "26.2.1.3".
};

/// The sections that the rules and the walk of EPT name.
inline constexpr SdmSection sdm_sections[] = {
    {"vm-execution-control-fields-in-vm-entry", "VM-Execution Control Fields", "26.2.1.1"},
    {"vm-exit-control-fields-in-vm-entry", "VM-Exit Control Fields", "26.2.1.2"},
    {"vm-entry-control-fields-in-vm-entry", "VM-Entry Control Fields", "26.2.1.3"},
    {"checks-on-host-control-registers-and-msrs", "Checks on Host Control Registers and MSRs",
     "26.2.2"},
    {"checks-on-host-segment-and-descriptor-table-registers",
     "Checks on Host Segment and Descriptor-Table Registers", "26.2.3"},
    {"checks-related-to-address-space-size", "Checks Related to Address-Space Size", "26.2.4"},
    {"checks-on-guest-control-registers-debug-registers-and-msrs",
     "Checks on Guest Control Registers, Debug Registers, and MSRs", "26.3.1.1"},
    {"checks-on-guest-segment-registers", "Checks on Guest Segment Registers", "26.3.1.2"},
    {"checks-on-guest-descriptor-table-registers", "Checks on Guest Descriptor-Table Registers",
     "26.3.1.3"},
    {"checks-on-guest-rip-and-rflags", "Checks on Guest RIP and RFLAGS", "26.3.1.4"},
    {"checks-on-guest-non-register-state", "Checks on Guest Non-Register State", "26.3.1.5"},
    {"checks-on-guest-page-directory-pointer-table-entries",
     "Checks on Guest Page-Directory-Pointer-Table Entries", "26.3.1.6"},
    {"loading-msrs-in-vm-entry", "Loading MSRs", "26.4"},
    {"loading-host-control-registers-debug-registers-msrs",
     "Loading Host Control Registers, Debug Registers, MSRs", "27.5.1"},
    {"loading-host-segment-and-descriptor-table-registers",
     "Loading Host Segment and Descriptor-Table Registers", "27.5.2"},
    {"loading-host-rip-rsp-and-rflags", "Loading Host RIP, RSP, and RFLAGS", "27.5.3"},
    {"vm-entry-controls-for-msrs", "VM-Entry Controls for MSRs", "24.8.2"},
    {"ept-misconfigurations", "EPT Misconfigurations", "28.2.3.1"},
    {"ept-violations", "EPT Violations", "28.2.3.2"},
};

/// What a finding prints: the title, and the number, which is empty if the rule is newer than the
/// pinned edition.
struct SdmReference {
    const char *title;  ///< Never null.
    const char *number; ///< "26.2.1.1"; "" if the pinned edition does not have the rule.
};

/// Looks up what Rule::sdm says. A plus sign before the key means that the section is there in the
/// pinned edition, but the rule in it is newer.
constexpr SdmReference sdm_reference(const char *key) {
    const bool newer = *key == '+';
    const char *const name = newer ? key + 1 : key;
    for (const SdmSection &section : sdm_sections) {
        if (__builtin_strcmp(section.key, name) == 0) {
            return {section.title, newer ? "" : section.number};
        }
    }
    return {name, ""};
}

} // namespace vtx::entry_checks
