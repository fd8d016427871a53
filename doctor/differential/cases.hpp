// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the differential test does wherever it runs: makes a VMCS, asks the rules what must happen,
/// and judges what happened. How a VMCS is entered, and how that is told, is each program's own:
/// differential.cpp has the machine to itself, module/step.cpp shares it with Linux.
#pragma once

#include "deviations.hpp"
#include "mutations.hpp"

#include "doctor/rules/entry_checks.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/instructions.hpp"
#include "x86/cpuid.hpp"

namespace vtx::testing {

/// The processor, and the VMCS that is in the works.
struct Testbed {
    Emulated emulated{};
    ProcessorDescription cpu{};
    EntrySituation situation{};
    Surroundings around{};
    volatile std::uint64_t *msr_load_list = nullptr, *pdptes = nullptr; ///< where words() has them
    GuestKind kind{};                                                   ///< of base
    VmcsSnapshot base{}, wanted{};   ///< known-good, and what became of it
    entry_checks::Verdict verdict{}; ///< on wanted
};

/// Describes the processor, and gives each pointer but current_vmcs and the roots its page.
/// \param new_page gives the physical address of a page of zeroes
/// \param words gives, of a physical address, where this program sees it
template <class NewPage, class Words>
void prepare(
    Testbed &test, const VmxCapabilities &vmx, PhysicalMemory memory, NewPage new_page,
    Words words) {
    Surroundings &around = test.around;
    test.cpu = describe_processor(
        vmx, [](std::uint32_t leaf, std::uint32_t subleaf) { return cpuid(leaf, subleaf); });
    test.situation.current_vmcs = around.current_vmcs;
    test.situation.memory = memory;
    for (std::uint64_t *pointer :
         {&around.page, &around.second_page, &around.link_good, &around.link_shadow,
          &around.link_bad, &around.harmless_msrs, &around.msr_load_list, &around.pae_root}) {
        *pointer = new_page();
    }
    test.msr_load_list = words(around.msr_load_list);
    test.pdptes = words(around.pae_root);
    around.msr_load_count = 2;
    *words(around.link_good) = vmx.revision();
    *words(around.link_shadow) = vmx.revision() | 0x80000000u;
    *words(around.link_bad) = vmx.revision() ^ 1u;
    for (unsigned i = 0; i < 256; ++i) {
        words(around.harmless_msrs)[2 * i] = static_cast<std::uint32_t>(Msr::sysenter_cs);
    }
}

/// Known-good VMCSs: of each kind of guest one without EPT and one with.
inline constexpr unsigned base_count = 8;

/// Makes test.base the known-good VMCS of this number. False if this processor cannot run it.
inline bool make_base(Testbed &test, unsigned number) {
    const bool ept = number % 2 != 0;
    test.kind = static_cast<GuestKind>(number / 2);
    if (!can_run(test.cpu, test.kind, ept)) {
        return false;
    }
    make_known_good(test.base, test.cpu, test.kind, ept, test.around);
    return true;
}

/// Hands every mutation of test.base to `sink`, and whether this is one to run: each that is
/// essential, and of the others one in `stride`. Models and guests begin at different places, so
/// that together they miss little.
template <class Sink>
void each_case(const Testbed &test, unsigned base, unsigned stride, Sink sink) {
    unsigned number = base + test.emulated.model;
    const auto counted = [&](const Mutation &mutation, bool essential) {
        sink(mutation, number++ % stride == 0 || essential);
    };
    each_mutation(test.cpu, test.base, test.around, test.kind != GuestKind::long_mode, counted);
}

/// Makes test.wanted from test.base by one mutation or two, and memory what they say it is. The
/// second entry of the MSR-load list ends every VM entry.
inline void make_wanted(Testbed &test, const Mutation &first, const Mutation &second = {}) {
    const Mutation &msr = first.loads_msr ? first : second;
    const Mutation &pdpte = first.has_pdpte ? first : second;
    test.msr_load_list[0] =
        msr.loads_msr ? msr.msr_index : static_cast<std::uint32_t>(Msr::sysenter_cs);
    test.msr_load_list[1] = msr.loads_msr ? msr.msr_value : 0;
    test.msr_load_list[2] = static_cast<std::uint32_t>(Msr::fs_base);
    test.pdptes[1] = pdpte.has_pdpte ? pdpte.pdpte : test.around.pdptes[1];
    test.wanted = test.base;
    apply(first, test.wanted);
    apply(second, test.wanted);
}

/// Writes a whole VMCS by write(encoding, value).
template <class Write> void write_all(const VmcsSnapshot &vmcs, Write write) {
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        if (all_fields[slot].kind != FieldKind::read_only) {
            write(all_fields[slot].encoding, vmcs.values[slot]);
        }
    }
}

/// Writes the fields that a mutation changes, with the values that they have in `vmcs`.
template <class Write>
void write_changes(const Mutation &mutation, const VmcsSnapshot &vmcs, Write write) {
    for (unsigned i = 0; i < mutation.count; ++i) {
        const std::uint32_t encoding = mutation.changes[i].encoding;
        write(encoding, vmcs.find(encoding).value_or(0));
    }
}

/// The rule that is never more than undecided, because processors differ; this one demands it.
inline constexpr std::size_t nmi_behind_sti = entry_checks::find_rule("I05b");

/// What must happen with a VMCS.
struct Foreseen {
    entry_checks::Prediction sdm, here; ///< by the rules; with what is known of Bochs
    std::uint64_t used;                 ///< one bit for each deviation that was needed
    std::uint64_t kept[entry_checks::rule_limit / 64]; ///< the rules that are broken and applied
    unsigned panic;                                    ///< in which Bochs would end, or panic_count
    bool open;                                         ///< nmi_behind_sti is undecided
};

/// Judges test.wanted.
inline Foreseen foresee(Testbed &test) {
    const DeviationContext context{test.wanted, test.cpu};
    const entry_checks::Verdict &verdict = test.verdict;
    examine(test.wanted, test.cpu, test.situation, test.verdict);
    Foreseen all{};
    all.sdm = verdict.prediction;
    all.here = with_deviations(context, verdict, test.emulated, all.used, all.kept);
    all.panic = panic_of(context, verdict, all.here);
    all.open = verdict.undecided[nmi_behind_sti] != entry_checks::Undecided::no;
    if (all.open) {
        all.kept[nmi_behind_sti / 64] |= std::uint64_t{1} << (nmi_behind_sti % 64);
    }
    return all;
}

/// What happened.
struct Outcome {
    enum Kind : char { error = 'e', exit33 = 'g', exit34 = 'm', entered_guest = 'v', other = '?' };
    Kind kind;
    std::uint64_t number; ///< the error, the exit qualification, the exit reason
};

/// A field of the current VMCS. One that cannot be read is all ones, which fits nothing foreseen.
template <VmcsField F> std::uint64_t read_field(F field) {
    std::uint64_t value = 0;
    return vmread(field_encoding(field), value).ok() ? value : ~std::uint64_t{0};
}

/// How a VM entry ended, by its flags and the current VMCS.
inline Outcome outcome_of(bool fail_invalid, bool fail_valid) {
    if (fail_invalid) {
        return {Outcome::other, 1};
    }
    if (fail_valid) {
        return {Outcome::error, read_field(Field32::vm_instruction_error)};
    }
    const std::uint64_t field = read_field(Field32::exit_reason);
    const ExitReasonField reason = decode_exit_reason(static_cast<std::uint32_t>(field));
    if (!reason.entry_failure) {
        return {Outcome::entered_guest, field};
    }
    switch (reason.basic) {
    case ExitReason::entry_failure_guest_state:
        return {Outcome::exit33, read_field(FieldNatural::exit_qualification)};
    case ExitReason::entry_failure_msr_loading:
        return {Outcome::exit34, read_field(FieldNatural::exit_qualification)};
    default:
        return {Outcome::other, field};
    }
}

inline bool fits(const entry_checks::Prediction &ends, const Outcome &seen) {
    switch (seen.kind) {
    case Outcome::error:
        return (seen.number == 7 && ends.error_7) || (seen.number == 8 && ends.error_8);
    case Outcome::exit33:
        return seen.number < 8 && ((ends.qualifications >> seen.number) & 1u) != 0;
    case Outcome::exit34:
        return ends.msr_entry != 0 && ends.msr_entry == seen.number;
    case Outcome::entered_guest:
        return ends.enters;
    case Outcome::other:
        break;
    }
    return false;
}

/// How a verdict and an outcome compare.
enum Agreement : char {
    agrees = '=',    // with the SDM
    undecided = '~', // the doctor could not say, and said so
    deviates = '!',  // as the table of deviations says
    disagrees = 'X', // nobody knows why
};

/// Compares. Adds to `foreseen.used` if only Bochs's own qualification explains it.
inline Agreement judge(Foreseen &foreseen, const Outcome &seen) {
    if (fits(foreseen.here, seen)) {
        return fits(foreseen.sdm, seen) ? agrees : deviates;
    }
    if (foreseen.open && fits(entry_checks::Prediction{.qualifications = 1}, seen)) {
        foreseen.used |= std::uint64_t{1} << i05_qualification;
        return undecided;
    }
    return disagrees;
}

} // namespace vtx::testing
