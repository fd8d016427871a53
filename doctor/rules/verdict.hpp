// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a rule of VM entry is, and what the examination of a VMCS finds.
#pragma once

#include "vmx/fields.hpp"
#include "vmx/qualifications.hpp"

#include <cstddef>
#include <cstdint>

namespace vtx::entry_checks {

/// How a VM entry that breaks a rule ends, in the order in which the processor gets there: it looks
/// at controls and host state before guest state, and loads MSRs last.
enum class FailureClass : std::uint8_t {
    controls,    ///< VMfailValid, VM-instruction error 7. \sdm{checks-on-vmx-controls}
    host_state,  ///< VMfailValid, error 8. \sdm{checks-on-vmx-controls-and-host-state-area}
    guest_state, ///< VM exit, reason 33. \sdm{checks-on-the-guest-state-area}
    msr_loading, ///< VM exit, reason 34, and the qualification is an index.
                 ///< \sdm{loading-msrs-in-vm-entry}
    undefined,   ///< The SDM does not say what happens; it may be a machine check.
    suspicious,  ///< None: the guest runs, and the machine dies at the VM exit or after it.
};

class Examination;

/// One rule of VM entry: a row of the tables in this folder.
struct Rule {
    const char *id;                ///< "C07": the letter is the area, see README.md in this folder.
    FailureClass failure;          ///< What breaking it leads to.
    EntryFailure qualification;    ///< Of reason 33.
    const char *must;              ///< What must hold, as one sentence without a full stop.
    const char *sdm;               ///< The section of the SDM, as a \\sdm key, or a title if newer.
    const std::uint32_t *fields;   ///< Encodings of the fields on which the rule depends.
    std::size_t field_count;       ///< How many those are.
    void (*check)(Examination &x); ///< Reports each breach of the rule to `x`.
};

/// A list of field encodings with static storage, for Rule::fields.
template <auto... field> inline constexpr std::uint32_t field_list[] = {field_encoding(field)...};

/// Makes a row of a table of rules. Not a constructor, so that a kernel module can keep rules in
/// read-only data and needs no initialiser at run time.
template <auto... field>
constexpr Rule rule(
    const char *id, FailureClass failure, const char *must, const char *sdm,
    void (*check)(Examination &), EntryFailure qualification = EntryFailure::unspecified) {
    return Rule{id,   failure, qualification, must, sdm, field_list<field...>, sizeof...(field),
                check};
}

/// One breach of a rule.
struct Finding {
    std::uint64_t value; ///< What the field holds; of an MSR-load entry, the index of the MSR.
    std::uint64_t bits;  ///< Those bits of it that break the rule.
    std::uint32_t field; ///< Encoding of the field.
    std::uint32_t entry; ///< 1-based position in the MSR-load list, or 0.
    std::uint16_t rule;  ///< Index in all_rules.
};

/// Rules for which a Verdict has room. all_rules is checked against it.
inline constexpr std::size_t rule_limit = 256;

/// Why a rule could not be decided, where the reason is not an unknown field.
struct Undecided {
    static constexpr std::uint16_t no = 0;             ///< it was decided
    static constexpr std::uint16_t memory = 0xffff;    ///< it looks into memory that was not given
    static constexpr std::uint16_t processor = 0xfffe; ///< the processor's description lacks it
    static constexpr std::uint16_t msr = 0xfffd;       ///< whether WRMSR would fault is not known
    /// The reason for an unknown field.
    static constexpr std::uint16_t field(std::uint32_t encoding) {
        return static_cast<std::uint16_t>(encoding + 1);
    }
    /// True if the reason is an unknown field.
    static constexpr bool is_field(std::uint16_t reason) { return reason != no && reason < msr; }
};

/// How the entry can end, by what was found. More than one can be possible, because the processor
/// may do the checks of controls and host state, and those of guest state, in any order.
struct Prediction {
    bool enters = false;             ///< No rule is broken: the guest runs.
    bool error_7 = false;            ///< VMfailValid with error 7 is possible.
    bool error_8 = false;            ///< VMfailValid with error 8 is possible.
    std::uint8_t qualifications = 0; ///< Of exit 33: bit n is 1 if qualification n is possible.
    std::uint32_t msr_entry = 0;     ///< Of exit 34: the qualification; 0 if it is not exit 34.
    bool undefined = false; ///< A rule is broken, and the SDM does not say what happens then.
    bool certain = false;   ///< No undecided rule could change the above.

    /// Adds what one breach leads to. \param entry of the MSR-load list, counted from 1
    constexpr void add(FailureClass failure, EntryFailure qualification, std::uint32_t entry) {
        switch (failure) {
        case FailureClass::controls:
            error_7 = true;
            break;
        case FailureClass::host_state:
            error_8 = true;
            break;
        case FailureClass::guest_state:
            qualifications = static_cast<std::uint8_t>(
                qualifications | (1u << static_cast<unsigned>(qualification)));
            break;
        case FailureClass::msr_loading:
            msr_entry = msr_entry == 0 || entry < msr_entry ? entry : msr_entry;
            break;
        case FailureClass::undefined:
            undefined = true;
            break;
        case FailureClass::suspicious:
            break;
        }
    }

    /// Of the outcomes that were added, keeps the one that comes first.
    constexpr void settle() {
        if (error_7 || error_8) {
            qualifications = 0;
        }
        if (error_7 || error_8 || qualifications != 0) {
            msr_entry = 0;
        }
        enters = !error_7 && !error_8 && qualifications == 0 && msr_entry == 0;
    }

    friend constexpr bool operator==(const Prediction &, const Prediction &) = default;
};

/// All that the examination of one VMCS found. Two and a half kilobytes: not for a kernel stack.
struct Verdict {
    /// Findings for which there is room. Those beyond are counted, and their rules are in `broken`.
    static constexpr std::size_t capacity = 64;

    Finding findings[capacity]{};            ///< In the order of the SDM.
    std::uint32_t count{};                   ///< How many of them there are.
    std::uint32_t dropped{};                 ///< Findings for which there was no room.
    std::uint64_t broken[rule_limit / 64]{}; ///< One bit for each rule of all_rules.
    std::uint16_t undecided[rule_limit]{};   ///< For each rule of all_rules, why it is undecided.
    Prediction prediction{};                 ///< What the VM entry would do.

    /// True if the rule with this index in all_rules is broken.
    constexpr bool is_broken(std::size_t index) const {
        return ((broken[index / 64] >> (index % 64)) & 1u) != 0;
    }

    /// True if no rule is broken; there may be undecided ones.
    constexpr bool sound() const { return count == 0 && dropped == 0; }
};

} // namespace vtx::entry_checks
