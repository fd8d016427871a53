// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The view that a rule has of the VMCS: it asks for fields and controls, and reports what is wrong
/// with them. Whether it asked for something unknown is noticed here, so that no rule has to.
#pragma once

#include "doctor/rules/processor.hpp"
#include "doctor/rules/verdict.hpp"
#include "vmx/controls.hpp"
#include "vmx/snapshot.hpp"
#include "x86/paging.hpp"

#include <cstdint>
#include <optional>

namespace vtx::entry_checks {

/// The examination of one VMCS. A rule consists of one or more steps, each of which is decided for
/// itself; next() begins another. A step that asks for a field that is not known is undecided, and
/// what it reports from then on is ignored, because it may depend on the unknown value.
class Examination {
public:
    constexpr Examination(
        const VmcsSnapshot &snapshot, const ProcessorDescription &processor,
        const EntrySituation &situation, Verdict &verdict)
        : vmcs_{snapshot}, cpu{processor}, now{situation}, verdict_{verdict} {}

private:
    const VmcsSnapshot &vmcs_;

public:
    const ProcessorDescription &cpu; ///< The processor.
    const EntrySituation &now;       ///< The state it is in.

    /// Begins the rule with this index in all_rules.
    constexpr void begin(std::size_t rule, FailureClass failure, EntryFailure qualification) {
        rule_ = static_cast<std::uint16_t>(rule);
        failure_ = failure;
        qualification_ = qualification;
        doubt_ = Undecided::no;
    }

    /// Ends one step of a rule and begins another, which is decided for itself.
    constexpr void next() {
        if (doubt_ != Undecided::no && verdict_.undecided[rule_] == Undecided::no) {
            verdict_.undecided[rule_] = doubt_;
        }
        doubt_ = Undecided::no;
    }

    /// Makes the step undecided.
    constexpr void doubt(std::uint16_t reason) {
        if (doubt_ == Undecided::no) {
            doubt_ = reason;
        }
    }

    /// True if the step asked for something that is not known.
    constexpr bool in_doubt() const { return doubt_ != Undecided::no; }

    /// The value of a field; 0, and the step is undecided, if it is unknown.
    template <VmcsField F> constexpr field_value_t<F> get(F field) {
        return static_cast<field_value_t<F>>(value(field_encoding(field)));
    }

    /// True if a pin-based or primary processor-based, VM-exit or VM-entry control is 1.
    template <NarrowControl C> constexpr bool has(C control) {
        return (get(control_field(control)) & control_bit(control)) != 0;
    }

    /// True if a secondary control is 1 and counts: all of them are 0 unless activated.
    constexpr bool has(SecondaryControl control) {
        return has(PrimaryControl::activate_secondary_controls) &&
               (get(Field32::secondary_controls) & control_bit(control)) != 0;
    }

    /// True if a tertiary control is 1 and counts.
    constexpr bool has(TertiaryControl control) {
        return has(PrimaryControl::activate_tertiary_controls) &&
               (get(Field64::tertiary_controls) & control_bit(control)) != 0;
    }

    /// True if a secondary VM-exit control is 1 and counts.
    constexpr bool has(SecondaryExitControl control) {
        return has(ExitControl::activate_secondary_controls) &&
               (get(Field64::secondary_exit_controls) & control_bit(control)) != 0;
    }

    /// True if a VM function is enabled.
    constexpr bool has(VmFunction function) {
        return has(SecondaryControl::enable_vm_functions) &&
               (get(Field64::vm_function_controls) & control_bit(function)) != 0;
    }

    /// Reports that `bits` of a field break the rule.
    template <VmcsField F> constexpr void fault(F field, std::uint64_t bits) {
        report(field_encoding(field), bits);
    }

    /// Reports an entry of the MSR-load list. \param position counted from 1
    constexpr void fault_entry(std::uint32_t position, std::uint64_t msr, std::uint64_t bits) {
        if (!in_doubt()) {
            record(Finding{
                msr, bits, field_encoding(Field64::entry_msr_load_address), position, rule_});
        }
    }

    /// Bits of `mask` must be 0.
    template <VmcsField F> constexpr void zero(F field, std::uint64_t mask) {
        const std::uint64_t bits = get(field) & mask;
        if (bits != 0) {
            fault(field, bits);
        }
    }

    /// A control must be 1.
    template <Control C> constexpr void require(C control) {
        if (!has(control)) {
            fault(control_field(control), control_bit(control));
        }
    }

    /// A control must be 0.
    template <Control C> constexpr void forbid(C control) {
        if (has(control)) {
            fault(control_field(control), control_bit(control));
        }
    }

    /// The 32-bit word of a control must be one that the processor accepts.
    template <NarrowControl C> constexpr void allowed(C control) {
        const Allowed allowed = cpu.vmx.allowed(control);
        const std::uint32_t word = get(control_field(control));
        const std::uint32_t bits = (allowed.must_be_1 & ~word) | (word & ~allowed.may_be_1);
        if (bits != 0) {
            fault(control_field(control), bits);
        }
    }

    /// A field of 64 bits must not set bits that the processor does not accept.
    constexpr void allowed(Field64 field, std::uint64_t may_be_1) { zero(field, ~may_be_1); }

    /// A physical address must be a multiple of `alignment` and within the address width.
    constexpr void address(Field64 field, std::uint64_t alignment) {
        if (cpu.physical_address_width == 0) {
            doubt(Undecided::processor);
        }
        zero(field, (alignment - 1) | cpu.bits_beyond_address_width());
    }

    /// A physical address must be that of a page.
    constexpr void page(Field64 field) { address(field, page_size); }

    /// A list of `count` MSR entries must start at a multiple of 16 and end within the width.
    constexpr void msr_list(Field64 start, Field32 count) {
        const std::uint32_t entries = get(count);
        if (entries == 0) {
            return;
        }
        if (cpu.physical_address_width == 0) {
            doubt(Undecided::processor);
        }
        const std::uint64_t first = get(start);
        const std::uint64_t last = first + std::uint64_t{entries} * 16 - 1;
        const std::uint64_t beyond = cpu.bits_beyond_address_width();
        const std::uint64_t bits =
            (first & 0xfu) | ((first | last) & beyond) | (last < first ? beyond : 0);
        if (bits != 0) {
            fault(start, bits);
        }
    }

    /// Bits 63 down to the highest linear-address bit must be equal.
    template <VmcsField F> constexpr void canonical(F field) {
        const std::uint64_t bits = not_canonical(get(field));
        if (bits != 0) {
            fault(field, bits);
        }
    }

    /// Those bits of a linear address that keep it from being canonical.
    constexpr std::uint64_t not_canonical(std::uint64_t address) {
        const unsigned width = cpu.linear_address_width;
        if (width == 0) {
            doubt(Undecided::processor);
            return 0;
        }
        if (width >= 64 || is_canonical(address, width)) {
            return 0;
        }
        const std::uint64_t high = ~std::uint64_t{0} << width;
        const bool negative = ((address >> (width - 1)) & 1u) != 0;
        return (negative ? ~address : address) & high;
    }

    /// Every bit at or above the linear-address width must equal the lowest of them.
    constexpr std::uint64_t not_identical(std::uint64_t address) {
        const unsigned width = cpu.linear_address_width;
        if (width == 0) {
            doubt(Undecided::processor);
            return 0;
        }
        if (width >= 64) {
            return 0;
        }
        const std::uint64_t high = ~std::uint64_t{0} << width;
        const std::uint64_t bits = address & high;
        return bits == 0 || bits == high ? 0 : bits;
    }

    /// A control register must respect the fixed bits of VMX operation.
    /// \param exempt bits that are not checked
    constexpr void fixed(
        FieldNatural field, std::uint64_t fixed0, std::uint64_t fixed1, std::uint64_t exempt = 0) {
        const std::uint64_t bits = violated_fixed_bits(get(field), fixed0, fixed1) & ~exempt;
        if (bits != 0) {
            fault(field, bits);
        }
    }

    /// Eight bytes of physical memory; 0, and the step is undecided, if they cannot be read.
    constexpr std::uint64_t memory(std::uint64_t address) {
        std::uint64_t value = 0;
        if (!now.memory.given() || !now.memory.read(now.memory.context, address, value)) {
            doubt(Undecided::memory);
        }
        return value;
    }

    // What several rules ask of the guest.

    /// True if the guest will be in virtual-8086 mode.
    constexpr bool virtual_8086() { return (get(FieldNatural::guest_rflags) & Rflags::vm) != 0; }

    /// True if the guest is unrestricted.
    constexpr bool unrestricted() { return has(SecondaryControl::unrestricted_guest); }

    /// True if the guest will be in IA-32e mode.
    constexpr bool ia32e_guest() { return has(EntryControl::ia32e_mode_guest); }

private:
    // Out of line, because two hundred rules call them.
    [[gnu::noinline]] constexpr std::uint64_t value(std::uint32_t encoding) {
        const std::optional<std::uint64_t> known = vmcs_.find(encoding);
        if (!known.has_value()) {
            doubt(Undecided::field(encoding));
            return 0;
        }
        return *known;
    }

    [[gnu::noinline]] constexpr void report(std::uint32_t encoding, std::uint64_t bits) {
        const std::uint64_t held = value(encoding);
        if (!in_doubt()) {
            record(Finding{held, bits, encoding, 0, rule_});
        }
    }

    [[gnu::noinline]] constexpr void record(const Finding &finding) {
        verdict_.broken[rule_ / 64] |= std::uint64_t{1} << (rule_ % 64);
        if (verdict_.count < Verdict::capacity) {
            verdict_.findings[verdict_.count++] = finding;
        } else {
            ++verdict_.dropped;
        }
        verdict_.prediction.add(failure_, qualification_, finding.entry);
    }

    Verdict &verdict_;
    std::uint16_t rule_ = 0;
    std::uint16_t doubt_ = Undecided::no;
    FailureClass failure_ = FailureClass::controls;
    EntryFailure qualification_ = EntryFailure::unspecified;
};

} // namespace vtx::entry_checks
