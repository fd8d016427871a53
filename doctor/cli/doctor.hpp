// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The processor on which a VM entry is judged, and the report of a verdict.
#pragma once

#include "doctor/rules/entry_checks.hpp"
#include "dump.hpp"

#include <iosfwd>
#include <string>

namespace doctor {

/// A processor, and where its description comes from.
struct Processor {
    vtx::ProcessorDescription description;
    std::string source; ///< for the report: "the file x.cpu", ...
    bool exact = false; ///< it was described, and not assumed
};

/// What every Intel 64 processor demands and no more: addresses of 52 bits, every control and
/// feature that the SDM knows allowed. It never makes a sound VMCS look broken.
Processor any_processor();

/// Overrides those parts of a description that the words speak of.
void apply(const ProcessorWords &words, vtx::ProcessorDescription &description);

/// This machine's processor: CPUID, and the capability MSRs through /dev/cpu/0/msr.
/// \return why it cannot be described, or nothing
std::optional<std::string> this_machine(Processor &processor);

/// Prints a description so that read_processor() reads it back.
void print_processor(std::ostream &out, const vtx::ProcessorDescription &description);

/// What a finding says.
enum class Class {
    broken,     ///< a rule of VM entry is broken, on every processor or on the one that is given
    possible,   ///< one may be broken: it depends on the processor, or could not be decided
    suspicious, ///< none is, but the machine dies at the VM exit
};

/// The class of a finding of the rules.
Class class_of(const vtx::entry_checks::Finding &finding);

/// A rule that may be broken.
struct Possible {
    std::size_t rule; ///< index in all_rules
    std::uint32_t field;
    std::optional<std::uint64_t> value; ///< nothing if it is unknown
    std::uint64_t bits;                 ///< at fault; 0 if the rule could not be decided
    std::string when;                   ///< "on processors with 48-bit linear addresses"
};

/// What the dump itself says of how the VM entry failed.
struct Observed {
    unsigned exit_reason = 0; ///< with bit 31; 0 if the entry did not fail so
    bool has_qualification = false;
    std::uint64_t qualification = 0;
    unsigned error = 0; ///< VM-instruction error 7 or 8, the last one there was

    /// True if the dump says that the VM entry failed.
    bool failed() const { return exit_reason != 0 || error != 0; }
    /// True if what failed can be of this class.
    bool can_be(vtx::entry_checks::FailureClass failure) const;
};

/// Reads that out of a VMCS.
Observed observe(const vtx::VmcsSnapshot &vmcs);

/// A VMCS, its processor, and what was found.
struct Examined {
    const Dump *dump;
    const Processor *processor;
    vtx::entry_checks::Verdict verdict;
    Observed observed;
    std::vector<Possible> possible; ///< only if nothing is broken for certain

    /// How many findings of a class there are.
    std::size_t count(Class which) const;
};

/// Examines one VMCS.
Examined examine(const Dump &dump, const Processor &processor);

/// Prints for people. \param undecided also lists each rule that could not be decided
void print_text(std::ostream &out, const Examined &examined, bool undecided);

/// Prints one JSON object.
void print_json(std::ostream &out, const Examined &examined);

/// A text as a JSON string with its quotes.
std::string json_string(std::string_view text);

// For both reports.

/// A number as "0x1f".
std::string hex(std::uint64_t value);
/// Why a rule is undecided.
std::string because(std::uint16_t reason);
/// True if nothing is broken in what is there of a dump that lacks lines.
bool inconclusive(const Examined &examined);
/// How the VM entry ends, in words.
std::string outcome(const Examined &examined);
/// What the dump itself says of the failure; empty if it does not.
std::string observed_text(const Observed &observed);

} // namespace doctor
