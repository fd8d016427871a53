// SPDX-License-Identifier: GPL-2.0-only
// long-file: one table of what is known to differ.
/// \file
/// Where the processor that Bochs emulates does something else at VM entry than the SDM says, each
/// named and measured, for each version of Bochs that is tested. The differential test expects
/// these and no others; one that never shows on a version and model for which it is listed fails
/// the test, so the list cannot outlive the facts.
#pragma once

#include "doctor/rules/entry_checks.hpp"
#include "vmx/snapshot.hpp"

#include <cstdint>

namespace vtx::testing {

/// Versions of Bochs that are tested, as a set. Debian 12 has the first, Debian 13 the second.
struct Version {
    static constexpr unsigned bochs_2_7 = 1u << 0;
    static constexpr unsigned bochs_3_0 = 1u << 1;
    static constexpr unsigned all = 0x3;
};

/// CPU models of Bochs that are tested, as a set.
struct Model {
    static constexpr unsigned penryn = 1u << 0;
    static constexpr unsigned sandy = 1u << 1;
    static constexpr unsigned haswell = 1u << 2;
    static constexpr unsigned skylake = 1u << 3;
    static constexpr unsigned tigerlake = 1u << 4;
    static constexpr unsigned arrowlake = 1u << 5; ///< Bochs 2.7 does not have it
    static constexpr unsigned all = 0x3f;
    static constexpr unsigned cet = tigerlake | arrowlake;       ///< those with shadow stacks
    static constexpr unsigned posted_interrupts = skylake | cet; ///< in Bochs 3.0
    static constexpr unsigned unrestricted = all & ~penryn;      ///< those with unrestricted guests
};

/// The processor that is tested: one bit of Version, one of Model.
struct Emulated {
    unsigned version;
    unsigned model;
};

/// What a deviation has to look at.
struct DeviationContext {
    const VmcsSnapshot &vmcs;
    const ProcessorDescription &cpu;

    constexpr bool has(PrimaryControl control) const {
        return (vmcs.get(Field32::primary_controls) & control_bit(control)) != 0;
    }
    /// True if a secondary control is 1 and counts.
    constexpr bool has(SecondaryControl control) const {
        return has(PrimaryControl::activate_secondary_controls) &&
               (vmcs.get(Field32::secondary_controls) & control_bit(control)) != 0;
    }
    constexpr bool unrestricted() const { return has(SecondaryControl::unrestricted_guest); }
    constexpr AccessRights rights(Field32 field) const { return AccessRights{vmcs.get(field)}; }
    constexpr bool ia32e_guest() const {
        return (vmcs.get(Field32::entry_controls) & control_bit(EntryControl::ia32e_mode_guest)) !=
               0;
    }
    constexpr bool virtual_8086() const {
        return (vmcs.get(FieldNatural::guest_rflags) & Rflags::vm) != 0;
    }
    constexpr entry_checks::Injection event() const {
        return entry_checks::Injection{vmcs.get(Field32::entry_interruption_information)};
    }
};

/// A rule that the emulated processor does not apply, or not in this case.
struct Omission {
    const char *rule;  ///< Id of the rule, perhaps without the letter that splits it.
    unsigned versions; ///< Of which versions of Bochs.
    unsigned models;   ///< On which models.
    const char *what;  ///< In words.
    bool (*applies)(const DeviationContext &, const entry_checks::Finding &);
};

/// A demand that the emulated processor makes and the SDM does not; it fails as the rule does.
struct Addition {
    const char *rule;  ///< Id of the rule that comes closest, with its letter if it has one.
    unsigned versions; ///< Of which versions of Bochs.
    unsigned models;   ///< On which models.
    const char *what;  ///< In words.
    bool (*applies)(const DeviationContext &);
};

/// True if an omission or addition is listed for this processor.
constexpr bool is_listed(const auto &deviation, Emulated here) {
    return (deviation.versions & here.version) != 0 && (deviation.models & here.model) != 0;
}

namespace detail {

constexpr bool always(const DeviationContext &, const entry_checks::Finding &) { return true; }

/// SS with a null selector in a 64-bit guest, though usable: Bochs looks no further.
constexpr bool ss_hole(const DeviationContext &x, const entry_checks::Finding &finding) {
    const bool about_ss = finding.field == field_encoding(Field32::guest_ss_access_rights) ||
                          finding.field == field_encoding(FieldNatural::guest_ss_base);
    return about_ss && x.ia32e_guest() &&
           x.rights(Field32::guest_cs_access_rights).is_long_mode() &&
           (x.vmcs.get(Field16::guest_ss_selector) & 0xfffcu) == 0;
}

/// An event of type 7 and its vector, on a model without "monitor trap flag". (Bochs ends with a
/// panic when it injects one. Here none is injected: all entries fail before that.)
inline constexpr const char *type_7 =
    "without \"monitor trap flag\", an event of type 7 is taken, whatever its vector";
constexpr bool is_type_7(const DeviationContext &x, const entry_checks::Finding &) {
    return x.event().is(entry_checks::Injection::other_event);
}

/// The end of a list, with the product of count and 16 computed in 32 bits.
constexpr bool wraps(const DeviationContext &x, Field64 address, Field32 count) {
    const std::uint64_t start = x.vmcs.get(address);
    const std::uint32_t bytes = x.vmcs.get(count) * 16u;
    const std::uint64_t beyond = x.cpu.bits_beyond_address_width();
    return (start & 0xf) == 0 && (start & beyond) == 0 && ((start + bytes - 1) & beyond) == 0;
}

} // namespace detail

/// Rules that are not applied.
inline constexpr Omission omissions[] = {
    {"C17", Version::bochs_3_0, Model::posted_interrupts,
     "posted interrupts without a TPR shadow are only compared with \"acknowledge interrupt\"",
     [](const DeviationContext &x, const entry_checks::Finding &finding) {
         return !x.has(PrimaryControl::use_tpr_shadow) &&
                finding.field != field_encoding(Field32::exit_controls);
     }},
    {"N02b", Version::bochs_2_7, Model::all & ~Model::tigerlake, detail::type_7, detail::always},
    {"N02b", Version::bochs_3_0, Model::penryn, detail::type_7, detail::always},
    {"N03", Version::bochs_2_7, Model::all & ~Model::tigerlake, detail::type_7, detail::is_type_7},
    {"N03", Version::bochs_3_0, Model::penryn, detail::type_7, detail::is_type_7},
    {"N04", Version::all, Model::cet,
     "with CET the error-code bit of an injected event is not checked", detail::always},
    {"N09", Version::all, Model::all,
     "\"entry to SMM\" is refused with exit reason 33, by I06, not with error 7", detail::always},
    {"X02", Version::bochs_3_0, Model::cet,
     "bits 63:32 of the secondary VM-exit controls are not checked",
     [](const DeviationContext &, const entry_checks::Finding &finding) {
         return (finding.bits & 0xffffffff) == 0;
     }},
    {"X04", Version::all, Model::all, "16 times the count of an MSR list is computed in 32 bits",
     [](const DeviationContext &x, const entry_checks::Finding &) {
         return detail::wraps(x, Field64::exit_msr_store_address, Field32::exit_msr_store_count);
     }},
    {"H04", Version::all, Model::cet, "host CR4.CET needs CR0.WP only with \"load CET state\"",
     [](const DeviationContext &x, const entry_checks::Finding &) {
         return (x.vmcs.get(Field32::exit_controls) & control_bit(ExitControl::load_cet_state)) ==
                0;
     }},
    {"H06", Version::all, Model::all, "host IA32_PERF_GLOBAL_CTRL is not checked", detail::always},
    {"H10", Version::bochs_3_0, Model::arrowlake, "bits 63:32 of host IA32_PKRS are not checked",
     detail::always},
    {"G05", Version::all, Model::all, "guest IA32_DEBUGCTL is not checked", detail::always},
    {"G06", Version::all, Model::unrestricted, "an IA-32e mode guest without paging is let in",
     detail::always},
    {"G12", Version::all, Model::all, "guest IA32_PERF_GLOBAL_CTRL is not checked", detail::always},
    {"G16d", Version::bochs_3_0, Model::arrowlake, "bits 63:32 of guest IA32_PKRS are not checked",
     detail::always},
    {"S06", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"S10", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"S12", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"S13", Version::bochs_2_7, Model::unrestricted,
     "DPL of CS is compared with its RPL, not with DPL of SS",
     [](const DeviationContext &x, const entry_checks::Finding &) {
         const AccessRights cs = x.rights(Field32::guest_cs_access_rights);
         const unsigned rpl = x.vmcs.get(Field16::guest_cs_selector) & 3u;
         switch (cs.type()) {
         case 9:
         case 11:
             return rpl == cs.dpl();
         case 13:
         case 15:
             return rpl >= cs.dpl();
         default:
             return false;
         }
     }},
    {"S15", Version::bochs_2_7, Model::all, "DPL of data segments of type 11 is not checked",
     [](const DeviationContext &, const entry_checks::Finding &finding) {
         return (finding.value & 0xf) == 11;
     }},
    {"S16", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"S17", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"S19", Version::all, Model::all,
     "a usable SS with a null selector is not checked in 64-bit code", detail::ss_hole},
    {"R02", Version::all, Model::all, "guest RIP is not checked in 64-bit code", detail::always},
    {"R04", Version::all, Model::unrestricted, "virtual-8086 mode is let in although CR0.PE is 0",
     [](const DeviationContext &x, const entry_checks::Finding &) { return !x.ia32e_guest(); }},
    {"A04", Version::all, Model::all, "any event is injected into activity state HLT",
     detail::always},
    {"A05", Version::all, Model::all,
     "any event with vector 18 is injected into activity state shutdown",
     [](const DeviationContext &x, const entry_checks::Finding &) {
         return x.event().vector() == 18;
     }},
    {"I07", Version::all, Model::all, "an NMI is injected while virtual NMIs are blocked",
     detail::always},
    {"P01", Version::all, Model::all, "bits 63:32 of the pending debug exceptions are not checked",
     [](const DeviationContext &, const entry_checks::Finding &finding) {
         return (finding.bits & 0xffffffff) == 0;
     }},
    {"P02", Version::all, Model::all, "BS of the pending debug exceptions is not compared with TF",
     detail::always},
    {"M02", Version::bochs_2_7, Model::penryn | Model::sandy,
     "without x2APIC, an APIC register is loaded", detail::always},
    {"M03", Version::all, Model::all, "IA32_SMM_MONITOR_CTL is loaded", detail::always},
    {"M04", Version::all, Model::all, "IA32_BIOS_UPDT_TRIG is loaded", detail::always},
};

/// Demands of its own.
inline constexpr Addition additions[] = {
    {"C17d", Version::bochs_3_0, Model::posted_interrupts,
     "the posted-interrupt descriptor must be page-aligned",
     [](const DeviationContext &x) {
         return (x.vmcs.get(Field32::pin_based_controls) &
                 control_bit(PinControl::process_posted_interrupts)) != 0 &&
                x.has(PrimaryControl::use_tpr_shadow) &&
                (x.vmcs.get(Field64::posted_interrupt_descriptor) & 0xfff) != 0;
     }},
    {"S13", Version::bochs_2_7, Model::unrestricted,
     "CS is refused for its RPL, with which the SDM compares nothing in an unrestricted guest",
     [](const DeviationContext &x) {
         if (x.virtual_8086()) {
             return false;
         }
         const AccessRights cs = x.rights(Field32::guest_cs_access_rights);
         const unsigned rpl = x.vmcs.get(Field16::guest_cs_selector) & 3u;
         const bool conforming = cs.type() == 13 || cs.type() == 15;
         const bool plain = cs.type() == 9 || cs.type() == 11;
         return (plain && rpl != cs.dpl()) || (conforming && rpl < cs.dpl());
     }},
    {"R06", Version::all, Model::cet,
     "guest SSP must be canonical, and below 4 GByte outside IA-32e mode",
     [](const DeviationContext &x) {
         const bool loads =
             (x.vmcs.get(Field32::entry_controls) & control_bit(EntryControl::load_cet_state)) != 0;
         const std::uint64_t ssp = x.vmcs.get(FieldNatural::guest_ssp);
         return loads && (!is_canonical(ssp, x.cpu.linear_address_width) ||
                          (!x.ia32e_guest() && (ssp >> 32) != 0));
     }},
    {"G17a", Version::all, Model::cet, "guest IA32_S_CET must be below 4 GByte outside IA-32e mode",
     [](const DeviationContext &x) {
         const bool loads =
             (x.vmcs.get(Field32::entry_controls) & control_bit(EntryControl::load_cet_state)) != 0;
         return loads && !x.ia32e_guest() && (x.vmcs.get(FieldNatural::guest_s_cet) >> 32) != 0;
     }},
};

inline constexpr unsigned omission_count = sizeof(omissions) / sizeof(omissions[0]);
inline constexpr unsigned addition_count = sizeof(additions) / sizeof(additions[0]);
/// The number of one more: Bochs demands what I05b leaves open, but with exit qualification 0.
inline constexpr unsigned i05_qualification = omission_count + addition_count;

static_assert(i05_qualification < 64); // each has a bit in `used`

/// True if a rule's id is `wanted`, or `wanted` and a letter.
constexpr bool is_rule(const char *id, const char *wanted) {
    while (*wanted != 0 && *id == *wanted) {
        ++id;
        ++wanted;
    }
    return *wanted == 0 && (*id == 0 || id[1] == 0);
}

/// What the emulated processor should do, by what the doctor found and by the deviations.
/// \param used one bit for each deviation that was needed: omissions, additions
/// \param kept one bit for each rule that is broken and applied, as Verdict::broken
constexpr entry_checks::Prediction with_deviations(
    const DeviationContext &x, const entry_checks::Verdict &verdict, Emulated processor,
    std::uint64_t &used, std::uint64_t (&kept)[entry_checks::rule_limit / 64]) {
    using namespace entry_checks;
    Prediction ends;
    used = 0;
    for (std::uint64_t &word : kept) {
        word = 0;
    }
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        const Rule &rule = all_rules[finding.rule];
        bool omitted = false;
        for (unsigned n = 0; n < omission_count; ++n) {
            if (is_listed(omissions[n], processor) && is_rule(rule.id, omissions[n].rule) &&
                omissions[n].applies(x, finding)) {
                used |= std::uint64_t{1} << n;
                omitted = true;
            }
        }
        if (omitted) {
            continue;
        }
        kept[finding.rule / 64] |= std::uint64_t{1} << (finding.rule % 64);
        ends.add(rule.failure, rule.qualification, finding.entry);
    }
    for (unsigned n = 0; n < addition_count; ++n) {
        if (is_listed(additions[n], processor) && additions[n].applies(x)) {
            used |= std::uint64_t{1} << (omission_count + n);
            ends.add(all_rules[find_rule(additions[n].rule)].failure, EntryFailure::unspecified, 0);
        }
    }
    ends.settle();
    return ends;
}

/// A breach with which Bochs does not refuse the VM entry, but ends with a panic.
struct Panic {
    const char *rule; ///< Id of the rule that tells it beforehand.
    const char *what; ///< In words.
};

inline constexpr Panic panics[] = {
    {"G06", "IA-32e mode in real mode: G06 is not applied, and EFER.LMA then meets CR0.PE = 0"},
};

inline constexpr unsigned panic_count = sizeof(panics) / sizeof(panics[0]);

/// The panic in which this VM entry would end, by the doctor's word; panic_count if in none.
/// \param here what with_deviations() foresees
constexpr unsigned panic_of(
    const DeviationContext &x, const entry_checks::Verdict &verdict,
    const entry_checks::Prediction &here) {
    using entry_checks::find_rule;
    const bool state_is_loaded = here.enters || here.msr_entry != 0;
    const bool real_mode = (x.vmcs.get(FieldNatural::guest_cr0) & Cr0::pe) == 0;
    return state_is_loaded && real_mode && verdict.is_broken(find_rule("G06")) ? 0 : panic_count;
}

} // namespace vtx::testing
