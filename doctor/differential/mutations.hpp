// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The VMCSs of the differential test: known-good ones, broken in one place, or in two.
///
/// No guest of these may run, for some would never come back: the last entry of the MSR-load list
/// is one that no VM entry can load. A VMCS in which nothing else is wrong thus gives exit reason
/// 34, after every other check; so no mutation takes that entry away.
///
/// There are some seven thousand mutations of each known-good VMCS. Those that the sink is told to
/// be essential (every bit of every control and access-rights field, and whatever a rule or a
/// deviation depends on alone) should all be run; of the others a share will do, another on each
/// model.
#pragma once

#include "doctor/rules/guest_segments.hpp"
#include "known_good.hpp"

#include <cstdint>

namespace vtx::testing {

/// One change to a VMCS.
struct Change {
    std::uint32_t encoding; ///< Which field.
    bool flip;              ///< True: the bits of `value` change; false: the field becomes `value`.
    std::uint64_t value;    ///< See flip.
};

/// A few changes that belong together: one breaks a rule, the others make the rule apply.
struct Mutation {
    static constexpr unsigned limit = 6;
    Change changes[limit]{};
    unsigned count = 0;
    std::uint64_t msr_index = 0; ///< First half of an MSR-load entry, if it is about those.
    std::uint64_t msr_value = 0; ///< Its second half.
    std::uint64_t pdpte = 0;     ///< A PDPTE in memory, if it is about those.
    bool loads_msr = false;      ///< msr_index counts.
    bool has_pdpte = false;      ///< pdpte counts.

    /// Adds a change.
    template <VmcsField F> constexpr Mutation &set(F field, std::uint64_t value) {
        changes[count++] = {field_encoding(field), false, value};
        return *this;
    }
    /// Adds a change of bits.
    template <VmcsField F> constexpr Mutation &flip(F field, std::uint64_t bits) {
        changes[count++] = {field_encoding(field), true, bits};
        return *this;
    }
};

/// Applies the changes of a mutation to a VMCS. (MSR entries and PDPTEs are memory.)
constexpr void apply(const Mutation &mutation, VmcsSnapshot &vmcs) {
    for (unsigned i = 0; i < mutation.count; ++i) {
        const Change &change = mutation.changes[i];
        const std::uint64_t before = vmcs.find(change.encoding).value_or(0);
        vmcs.set(change.encoding, change.flip ? before ^ change.value : change.value);
    }
}

namespace detail {

/// Controls that make others count.
inline constexpr std::uint32_t use_secondary =
    control_bit(PrimaryControl::activate_secondary_controls);

/// Collects the mutations of one known-good VMCS.
template <class Sink> class Collector {
public:
    Collector(
        const ProcessorDescription &cpu, const VmcsSnapshot &base, const Surroundings &around,
        Sink &sink)
        : cpu_{cpu}, base_{base}, around_{around}, sink_{sink} {}

    /// \param guest_only leave out what is the same whatever the guest
    void all(bool guest_only) {
        if (!guest_only) {
            controls();
            newer_controls();
            control_dependencies();
            addresses();
            host();
        }
        guest_registers();
        guest_segments();
        guest_state();
        events();
        lists();
    }

private:
    /// While it lives, mutations are essential.
    class Essential {
    public:
        explicit Essential(Collector &collector) : collector_{collector} {
            collector_.essential_ = true;
        }
        ~Essential() { collector_.essential_ = false; }
        Essential(const Essential &) = delete;
        Essential &operator=(const Essential &) = delete;

    private:
        Collector &collector_;
    };

    void add(const Mutation &mutation) { sink_(mutation, essential_); }

    template <VmcsField F> void each_bit(F field, unsigned bits) {
        for (unsigned bit = 0; bit < bits; ++bit) {
            add(Mutation{}.flip(field, std::uint64_t{1} << bit));
        }
    }

    template <VmcsField F> void each_value(F field, const std::uint64_t *values, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            add(Mutation{}.set(field, values[i]));
        }
    }

    /// The primary controls of the base, with more.
    std::uint32_t primary(std::uint32_t more) const {
        return base_.get(Field32::primary_controls) | more;
    }
    std::uint32_t secondary(std::uint32_t more) const {
        return base_.get(Field32::secondary_controls) | more;
    }

    /// A mutation that switches on a secondary control, if the processor has it.
    bool with_secondary(SecondaryControl control, Mutation &mutation) const {
        if (!cpu_.vmx.supports(control)) {
            return false;
        }
        mutation.set(Field32::primary_controls, primary(use_secondary));
        mutation.set(Field32::secondary_controls, secondary(control_bit(control)));
        return true;
    }
    bool with_primary(PrimaryControl control, Mutation &mutation) const {
        if (!cpu_.vmx.supports(control)) {
            return false;
        }
        mutation.set(Field32::primary_controls, primary(control_bit(control)));
        return true;
    }

    static constexpr unsigned edge_count = 12;

    /// Edge values of a physical address; all are valid or fail their rule.
    std::uint64_t edge(unsigned i) const {
        const std::uint64_t top = std::uint64_t{1} << cpu_.physical_address_width;
        const std::uint64_t edges[edge_count] = {
            0,
            1,
            8,
            0x10,
            0x800,
            top,
            top - 0x1000,
            top - 1,
            around_.page | 0x40,
            std::uint64_t{1} << 52,
            std::uint64_t{1} << 63,
            ~std::uint64_t{0}};
        return edges[i];
    }

    static constexpr std::uint64_t linear_edges[] = {
        0,
        0xffffffff,
        0x100000000,
        0x00007fffffffffff,
        0x0000800000000000,
        0x0001000000000000,
        0xffff7fffffffffff,
        0xffff800000000000,
        0x8000000000000000,
        0xffffffffffffffff,
    };
    static constexpr unsigned linear_edge_count = sizeof(linear_edges) / sizeof(linear_edges[0]);

    void controls();
    /// Tertiary and secondary exit controls, and posted interrupts. (Bochs 2.7 has none of them.)
    void newer_controls();
    /// Rules among controls: every pair of the pin-based ones that touch NMIs, and each secondary
    /// control together with the TPR shadow and external-interrupt exiting.
    void control_dependencies();
    void edges_of(Field64 field, const Mutation &enable);
    void addresses();
    void host();
    template <Control C> void load_msr(C control, Field64 field);
    void cet_state(
        Field32 word, std::uint32_t control, FieldNatural s_cet, FieldNatural ssp,
        FieldNatural table);
    void guest_registers();
    void guest_segments();
    void guest_state();
    void events();
    void lists();
    /// An entry of the MSR-load list.
    void load_entry(std::uint64_t word, std::uint64_t value);

    const ProcessorDescription &cpu_;
    const VmcsSnapshot &base_;
    const Surroundings &around_;
    Sink &sink_;
    bool essential_ = false;
};

} // namespace detail

/// Hands every single mutation of a known-good VMCS to `sink`.
/// \param guest_only leave out those of controls and host state, which do not depend on the guest
template <class Sink>
void each_mutation(
    const ProcessorDescription &cpu, const VmcsSnapshot &base, const Surroundings &around,
    bool guest_only, Sink &&sink) {
    detail::Collector<Sink> collector{cpu, base, around, sink};
    collector.all(guest_only);
}

} // namespace vtx::testing

#include "mutations_controls.hpp"
#include "mutations_events.hpp"
#include "mutations_state.hpp"
