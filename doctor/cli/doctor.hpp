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

/// A VMCS, its processor, and what was found.
struct Examined {
    const Dump *dump;
    const Processor *processor;
    vtx::entry_checks::Verdict verdict;
};

/// Examines one VMCS.
Examined examine(const Dump &dump, const Processor &processor);

/// Prints for people. \param undecided also lists each rule that could not be decided
void print_text(std::ostream &out, const Examined &examined, bool undecided);

/// Prints one JSON object.
void print_json(std::ostream &out, const Examined &examined);

/// A text as a JSON string with its quotes.
std::string json_string(std::string_view text);

} // namespace doctor
