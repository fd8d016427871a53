// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The VMCS doctor: which rules of VM entry does this VMCS break on this processor?
///
/// A VM entry that fails says "error 7", "error 8" or "exit reason 33", and not a word about the
/// field. Here every rule that the SDM lists in its chapter "VM Entries" is a row of a table;
/// examine() applies all of them and lists all that are broken, with the field, the bits and the
/// outcome. It is arithmetic on a VmcsSnapshot: it executes no instruction, so the same code runs
/// in a kernel module, in the command-line tool and in tests. \sdm{chapter-vm-entries}
#pragma once

#include "doctor/rules/execution_controls.hpp"
#include "doctor/rules/exit_entry_controls.hpp"
#include "doctor/rules/guest_registers.hpp"
#include "doctor/rules/guest_rip.hpp"
#include "doctor/rules/guest_segments.hpp"
#include "doctor/rules/guest_state.hpp"
#include "doctor/rules/host_state.hpp"
#include "doctor/rules/msr_loading.hpp"
#include "doctor/rules/processor.hpp"
#include "doctor/rules/sdm.hpp"
#include "doctor/rules/suspicious.hpp"
#include "doctor/rules/verdict.hpp"
#include "vmx/snapshot.hpp"

#include <cstddef>
#include <cstdint>

namespace vtx::entry_checks {

namespace detail {

template <std::size_t n> constexpr std::size_t length(const Rule (&)[n]) { return n; }

inline constexpr std::size_t rule_total =
    length(execution_control_rules) + length(exit_control_rules) + length(entry_control_rules) +
    length(host_state_rules) + length(guest_register_rules) + length(guest_segment_rules) +
    length(guest_register_state_rules) + length(guest_other_state_rules) +
    length(msr_loading_rules) + length(suspicious_rules);

/// The tables in one, in the order of the SDM.
struct AllRules {
    Rule rows[rule_total]{};

    constexpr AllRules() {
        std::size_t next = 0;
        const auto append = [&](const auto &table) {
            for (const Rule &row : table) {
                rows[next++] = row;
            }
        };
        append(execution_control_rules);
        append(exit_control_rules);
        append(entry_control_rules);
        append(host_state_rules);
        append(guest_register_rules);
        append(guest_segment_rules);
        append(guest_register_state_rules);
        append(guest_other_state_rules);
        append(msr_loading_rules);
        append(suspicious_rules);
    }
};

inline constexpr AllRules all{};

} // namespace detail

/// Every rule, in the order of the SDM. Finding::rule and Verdict::broken index it.
inline constexpr const Rule (&all_rules)[detail::rule_total] = detail::all.rows;

/// The number of rules.
inline constexpr std::size_t rule_count = detail::rule_total;

static_assert(rule_count <= rule_limit, "Verdict has no bit for the last rules");

/// The index in all_rules of the rule with this id ("C07"); rule_count if there is none.
constexpr std::size_t find_rule(const char *id) {
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (__builtin_strcmp(all_rules[i].id, id) == 0) {
            return i;
        }
    }
    return rule_count;
}

namespace detail {

/// True if a rule that could not be decided might give the VM entry another outcome than what was
/// found: one whose failure comes at the same time as the predicted one, or before it.
constexpr bool could_matter(const Prediction &found, FailureClass failure) {
    if (failure == FailureClass::suspicious) {
        return false;
    }
    if (found.error_7 || found.error_8) {
        return failure == FailureClass::controls || failure == FailureClass::host_state;
    }
    if (found.qualifications != 0) {
        return failure != FailureClass::msr_loading;
    }
    return true;
}

/// Keeps the outcome that comes first, and says whether it is certain.
constexpr void conclude(Verdict &verdict) {
    Prediction &ends = verdict.prediction;
    ends.settle();
    ends.certain = !ends.undefined;
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (verdict.undecided[i] != Undecided::no && could_matter(ends, all_rules[i].failure)) {
            ends.certain = false;
        }
    }
}

} // namespace detail

/// Applies every rule to a VMCS.
/// \param snapshot  the fields; rules that depend on an unknown one stay undecided
/// \param processor the processor on which the VM entry is to be made
/// \param situation the state in which it is
/// \param verdict   what was found; whatever it held before is lost. A parameter, because it is too
///                  big for a kernel stack.
constexpr void examine(
    const VmcsSnapshot &snapshot, const ProcessorDescription &processor,
    const EntrySituation &situation, Verdict &verdict) {
    verdict.count = 0;
    verdict.dropped = 0;
    verdict.prediction = Prediction{};
    for (std::uint64_t &word : verdict.broken) {
        word = 0;
    }
    for (std::uint16_t &reason : verdict.undecided) {
        reason = Undecided::no;
    }
    Examination x{snapshot, processor, situation, verdict};
    for (std::size_t i = 0; i < rule_count; ++i) {
        x.begin(i, all_rules[i].failure, all_rules[i].qualification);
        all_rules[i].check(x);
        x.next();
    }
    detail::conclude(verdict);
}

/// The same, for callers with a large stack: on a host, or at compile time.
constexpr Verdict examine(
    const VmcsSnapshot &snapshot, const ProcessorDescription &processor,
    const EntrySituation &situation = {}) {
    Verdict verdict;
    examine(snapshot, processor, situation, verdict);
    return verdict;
}

/// The short name of a class of failure: "VM-instruction error 7", "exit reason 33", ...
constexpr const char *failure_name(FailureClass failure) {
    switch (failure) {
    case FailureClass::controls:
        return "VM-instruction error 7";
    case FailureClass::host_state:
        return "VM-instruction error 8";
    case FailureClass::guest_state:
        return "exit reason 33";
    case FailureClass::msr_loading:
        return "exit reason 34";
    case FailureClass::undefined:
        return "undefined behaviour";
    case FailureClass::suspicious:
        return "suspicious";
    }
    return "(unknown)";
}

/// Why a rule is undecided, in words; of an unknown field, its name. Never null; a static string.
constexpr const char *undecided_text(std::uint16_t reason) {
    switch (reason) {
    case Undecided::memory:
        return "it looks into memory that was not given";
    case Undecided::processor:
        return "the processor or its state is not described well enough";
    case Undecided::msr:
        return "whether WRMSR would fault is not known for every MSR of the list";
    default:
        return field_name(std::uint32_t{reason} - 1);
    }
}

/// The predicted outcome in words. Never null; a static string.
constexpr const char *outcome_text(const Prediction &ends) {
    if (ends.error_7 && ends.error_8) {
        return "VMfailValid with VM-instruction error 7 or 8, whichever the processor checks first";
    }
    if (ends.error_7) {
        return "VMfailValid with VM-instruction error 7: a VMX control is not valid";
    }
    if (ends.error_8) {
        return "VMfailValid with VM-instruction error 8: a host-state field is not valid";
    }
    if (ends.qualifications != 0) {
        return "a VM exit with reason 33 and bit 31: guest state is not valid";
    }
    if (ends.msr_entry != 0) {
        return "a VM exit with reason 34 and bit 31: an entry of the MSR-load list is not valid";
    }
    return ends.undefined ? "not defined by the SDM" : "no failure that the rules foresee";
}

} // namespace vtx::entry_checks
