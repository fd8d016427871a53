// SPDX-License-Identifier: GPL-2.0-only
// long-file: a table of mutations, most of it data.
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

#include "known_good.hpp"
#include "vmx/entry_checks/guest_segments.hpp"

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

    void controls() {
        const Essential all{*this};
        each_bit(Field32::pin_based_controls, 32);
        each_bit(Field32::primary_controls, 32);
        each_bit(Field32::exit_controls, 32);
        each_bit(Field32::entry_controls, 32);
        for (unsigned bit = 0; bit < 32; ++bit) {
            add(Mutation{}
                    .set(Field32::primary_controls, primary(use_secondary))
                    .flip(Field32::secondary_controls, std::uint64_t{1} << bit));
            add(Mutation{}.flip(Field32::secondary_controls, std::uint64_t{1} << bit));
        }
        for (const std::uint64_t count : {1, 3, 4, 5, 255, 256}) {
            add(Mutation{}.set(Field32::cr3_target_count, count));
        }
        each_bit(Field32::cr3_target_count, 32);
    }

    /// Rules among controls: every pair of the pin-based ones that touch NMIs, and each secondary
    /// control together with the TPR shadow and external-interrupt exiting.
    void control_dependencies() {
        for (unsigned set = 0; set < 8; ++set) {
            const std::uint32_t pins = ((set & 1) != 0 ? control_bit(PinControl::nmi_exiting) : 0) |
                                       ((set & 2) != 0 ? control_bit(PinControl::virtual_nmis) : 0);
            Mutation mutation;
            mutation.set(
                Field32::pin_based_controls, base_.get(Field32::pin_based_controls) | pins);
            if ((set & 4) != 0) {
                with_primary(PrimaryControl::nmi_window_exiting, mutation);
            }
            add(mutation);
        }
        for (unsigned bit = 0; bit < 32; ++bit) {
            for (unsigned set = 0; set < 4; ++set) {
                const std::uint32_t shadow =
                    (set & 1) != 0 ? control_bit(PrimaryControl::use_tpr_shadow) : 0;
                const std::uint32_t external =
                    (set & 2) != 0 ? control_bit(PinControl::external_interrupt_exiting) : 0;
                add(Mutation{}
                        .set(Field32::primary_controls, primary(use_secondary | shadow))
                        .set(
                            Field32::pin_based_controls,
                            base_.get(Field32::pin_based_controls) | external)
                        .set(Field32::secondary_controls, secondary(1u << bit)));
                add(Mutation{} // without EPT
                        .set(Field32::primary_controls, primary(use_secondary | shadow))
                        .set(
                            Field32::pin_based_controls,
                            base_.get(Field32::pin_based_controls) | external)
                        .set(Field32::secondary_controls, 1u << bit));
            }
            for (unsigned other = 0; other < bit; ++other) {
                add(Mutation{}
                        .set(
                            Field32::primary_controls,
                            primary(use_secondary | control_bit(PrimaryControl::use_tpr_shadow)))
                        .set(Field32::secondary_controls, (1u << bit) | (1u << other)));
            }
        }
        const Essential rest{*this};
        for (const std::uint64_t threshold : {0u, 1u, 8u, 15u, 16u, 0x80000000u}) {
            for (const std::uint32_t more :
                 {0u, control_bit(SecondaryControl::virtualize_apic_accesses),
                  control_bit(SecondaryControl::virtual_interrupt_delivery)}) {
                add(Mutation{}
                        .set(
                            Field32::primary_controls,
                            primary(
                                control_bit(PrimaryControl::use_tpr_shadow) |
                                (more != 0 ? use_secondary : 0)))
                        .set(
                            Field32::pin_based_controls,
                            base_.get(Field32::pin_based_controls) | 1u)
                        .set(Field32::secondary_controls, secondary(more))
                        .set(Field32::tpr_threshold, threshold));
            }
        }
        for (unsigned bit = 0; bit < 32; ++bit) {
            Mutation mutation;
            if (with_primary(PrimaryControl::use_tpr_shadow, mutation)) {
                add(mutation.set(Field32::tpr_threshold, std::uint64_t{1} << bit));
            }
        }
        Mutation timer;
        timer.flip(Field32::pin_based_controls, control_bit(PinControl::activate_preemption_timer));
        timer.flip(Field32::exit_controls, control_bit(ExitControl::save_preemption_timer_value));
        add(timer);
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

    void edges_of(Field64 field, const Mutation &enable) {
        for (unsigned i = 0; i < edge_count; ++i) {
            add(Mutation{enable}.set(field, edge(i)));
        }
        add(Mutation{}.set(field, 1)); // without the control
        for (unsigned bit = 0; bit < 64; ++bit) {
            add(Mutation{enable}.flip(field, std::uint64_t{1} << bit));
        }
    }

    void addresses() {
        struct ByPrimary {
            PrimaryControl control;
            Field64 field;
        };
        for (const ByPrimary &row : {
                 ByPrimary{PrimaryControl::use_io_bitmaps, Field64::io_bitmap_a},
                 ByPrimary{PrimaryControl::use_io_bitmaps, Field64::io_bitmap_b},
                 ByPrimary{PrimaryControl::use_msr_bitmaps, Field64::msr_bitmap},
                 ByPrimary{PrimaryControl::use_tpr_shadow, Field64::virtual_apic_address},
             }) {
            Mutation mutation;
            if (with_primary(row.control, mutation)) {
                edges_of(row.field, mutation);
            }
        }
        struct BySecondary {
            SecondaryControl control;
            Field64 field;
        };
        for (const BySecondary &row : {
                 BySecondary{
                     SecondaryControl::virtualize_apic_accesses, Field64::apic_access_address},
                 BySecondary{SecondaryControl::vmcs_shadowing, Field64::vmread_bitmap},
                 BySecondary{SecondaryControl::vmcs_shadowing, Field64::vmwrite_bitmap},
                 BySecondary{SecondaryControl::ept_violation_ve, Field64::ve_information_address},
                 BySecondary{SecondaryControl::enable_pml, Field64::pml_address},
                 BySecondary{
                     SecondaryControl::sub_page_write_permissions, Field64::spp_table_pointer},
                 BySecondary{SecondaryControl::enable_ept, Field64::ept_pointer},
                 BySecondary{SecondaryControl::use_tsc_scaling, Field64::tsc_multiplier},
             }) {
            Mutation mutation;
            if (with_secondary(row.control, mutation)) {
                edges_of(row.field, mutation);
            }
        }
        Mutation functions;
        if (with_secondary(SecondaryControl::enable_vm_functions, functions)) {
            for (unsigned bit = 0; bit < 64; ++bit) {
                add(Mutation{functions}.set(
                    Field64::vm_function_controls, std::uint64_t{1} << bit));
            }
            edges_of(
                Field64::eptp_list_address,
                Mutation{functions}.set(Field64::vm_function_controls, 1));
        }
        const Essential rest{*this};
        Mutation scaled;
        if (with_secondary(SecondaryControl::use_tsc_scaling, scaled)) {
            add(scaled.set(Field64::tsc_multiplier, 0));
        }
        Mutation tagged;
        if (with_secondary(SecondaryControl::enable_vpid, tagged)) {
            add(Mutation{tagged}.set(Field16::vpid, 0));
            add(Mutation{tagged}.set(Field16::vpid, 0xffff));
            add(tagged);
        }
        for (unsigned low = 0; low < 0x1000; low += low < 0x100 ? 2 : 0x100) {
            Mutation mutation;
            if (with_secondary(SecondaryControl::enable_ept, mutation)) {
                add(mutation.set(Field64::ept_pointer, (around_.ept_root & ~0xfffull) | low));
            }
        }
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

    void host() {
        // Values that are no fault take effect at the VM exit that follows: those that this test
        // cannot live with are left out (host CR3 within the width, a canonical host RIP).
        for (unsigned bit = 0; bit < 64; ++bit) {
            if (bit != 30 && bit != 29) { // CD and NW: not worth their price
                add(Mutation{}.flip(FieldNatural::host_cr0, std::uint64_t{1} << bit));
            }
            add(Mutation{}.flip(FieldNatural::host_cr4, std::uint64_t{1} << bit));
            if (bit >= cpu_.physical_address_width) {
                add(Mutation{}.flip(FieldNatural::host_cr3, std::uint64_t{1} << bit));
            }
            if (bit >= 48) {
                add(Mutation{}.flip(FieldNatural::host_rip, std::uint64_t{1} << bit));
            }
        }
        for (const FieldNatural field :
             {FieldNatural::host_fs_base, FieldNatural::host_gs_base, FieldNatural::host_tr_base,
              FieldNatural::host_gdtr_base, FieldNatural::host_idtr_base,
              FieldNatural::host_sysenter_esp, FieldNatural::host_sysenter_eip}) {
            each_value(field, linear_edges, linear_edge_count);
        }
        for (const Field16 field : entry_checks::host::selectors) {
            for (std::uint64_t value = 0; value < 16; ++value) {
                add(Mutation{}.set(field, value));
            }
            each_bit(field, 16);
        }
        load_msr(ExitControl::load_efer, Field64::host_efer);
        load_msr(ExitControl::load_pat, Field64::host_pat);
        load_msr(ExitControl::load_perf_global_ctrl, Field64::host_perf_global_ctrl);
        load_msr(ExitControl::load_pkrs, Field64::host_pkrs);
        if (cpu_.vmx.supports(ExitControl::load_cet_state)) {
            {
                const Essential all{*this};
                add(Mutation{}
                        .flip(FieldNatural::host_cr4, Cr4::cet)
                        .flip(FieldNatural::host_cr0, Cr0::wp));
            }
            cet_state(
                Field32::exit_controls, control_bit(ExitControl::load_cet_state),
                FieldNatural::host_s_cet, FieldNatural::host_ssp,
                FieldNatural::host_interrupt_ssp_table);
            add(Mutation{}
                    .flip(Field32::exit_controls, control_bit(ExitControl::load_cet_state))
                    .flip(FieldNatural::host_cr4, Cr4::cet)
                    .flip(FieldNatural::host_cr0, Cr0::wp));
        }
    }

    template <Control C> void load_msr(C control, Field64 field) {
        if (!cpu_.vmx.supports(control)) {
            return;
        }
        Mutation load;
        load.set(control_field<C>(), base_.get(control_field<C>()) | control_bit(control));
        for (unsigned bit = 0; bit < 64; ++bit) {
            add(Mutation{load}.flip(field, std::uint64_t{1} << bit));
        }
        if (field == Field64::host_pat || field == Field64::guest_pat) {
            for (std::uint64_t type = 0; type < 9; ++type) {
                for (unsigned byte = 0; byte < 8; ++byte) {
                    const std::uint64_t mask = std::uint64_t{0xff} << (8 * byte);
                    add(Mutation{load}.set(
                        field, (0x0606060606060606 & ~mask) | (type << (8 * byte))));
                }
            }
        }
    }

    void cet_state(
        Field32 word, std::uint32_t control, FieldNatural s_cet, FieldNatural ssp,
        FieldNatural table) {
        Mutation load;
        load.set(word, base_.get(word) | control);
        for (unsigned bit = 0; bit < 64; ++bit) {
            for (const FieldNatural field : {s_cet, ssp, table}) {
                add(Mutation{load}.flip(field, std::uint64_t{1} << bit));
            }
        }
        add(Mutation{load}.set(s_cet, 0xc00));
        for (const std::uint64_t value : linear_edges) {
            for (const FieldNatural field : {s_cet, ssp, table}) {
                add(Mutation{load}.set(field, value));
            }
        }
    }

    void guest_registers() {
        each_bit(FieldNatural::guest_cr0, 64);
        each_bit(FieldNatural::guest_cr4, 64);
        each_bit(FieldNatural::guest_cr3, 64);
        each_bit(FieldNatural::guest_rflags, 64);
        each_bit(FieldNatural::guest_dr7, 64);
        each_bit(Field64::guest_debugctl, 64);
        for (const FieldNatural field :
             {FieldNatural::guest_sysenter_esp, FieldNatural::guest_sysenter_eip,
              FieldNatural::guest_gdtr_base, FieldNatural::guest_idtr_base,
              FieldNatural::guest_rip}) {
            each_value(field, linear_edges, linear_edge_count);
        }
        for (unsigned bit = 32; bit < 64; ++bit) {
            add(Mutation{}.flip(FieldNatural::guest_rip, std::uint64_t{1} << bit));
        }
        each_bit(Field32::guest_gdtr_limit, 32);
        each_bit(Field32::guest_idtr_limit, 32);
        load_msr(EntryControl::load_efer, Field64::guest_efer);
        load_msr(EntryControl::load_pat, Field64::guest_pat);
        load_msr(EntryControl::load_perf_global_ctrl, Field64::guest_perf_global_ctrl);
        load_msr(EntryControl::load_pkrs, Field64::guest_pkrs);
        if (cpu_.vmx.supports(EntryControl::load_cet_state)) {
            cet_state(
                Field32::entry_controls, control_bit(EntryControl::load_cet_state),
                FieldNatural::guest_s_cet, FieldNatural::guest_ssp,
                FieldNatural::guest_interrupt_ssp_table);
            add(Mutation{}
                    .flip(FieldNatural::guest_cr4, Cr4::cet)
                    .flip(FieldNatural::guest_cr0, Cr0::wp));
        }
        // Every combination of PE and PG, in and out of IA-32e mode and virtual-8086 mode, also for
        // unrestricted guests.
        const Essential rest{*this};
        for (unsigned set = 0; set < 32; ++set) {
            Mutation mutation;
            if ((set & 8) != 0) {
                with_secondary(SecondaryControl::unrestricted_guest, mutation);
            }
            if ((set & 16) != 0) {
                mutation.flip(FieldNatural::guest_rflags, Rflags::vm);
            }
            mutation.flip(
                FieldNatural::guest_cr0,
                ((set & 1) != 0 ? Cr0::pe : 0) | ((set & 2) != 0 ? Cr0::pg : 0));
            if ((set & 4) != 0) {
                mutation.flip(Field32::entry_controls, control_bit(EntryControl::ia32e_mode_guest));
            }
            add(mutation);
            if (cpu_.vmx.supports(EntryControl::load_efer)) {
                add(Mutation{mutation}.set(Field64::guest_efer, 0x500));
                add(Mutation{mutation}.set(Field64::guest_efer, 0x100));
            }
        }
        add(Mutation{}.flip(FieldNatural::guest_cr4, Cr4::pcide));
    }

    void guest_segments() {
        using namespace entry_checks;
        for (const SegmentFields &fields :
             {segment::es, segment::cs, segment::ss, segment::ds, segment::fs, segment::gs,
              segment::ldtr, segment::tr}) {
            {
                const Essential all{*this};
                each_bit(fields.rights, 32);
            }
            each_bit(fields.selector, 16);
            each_bit(fields.limit, 32);
            each_value(fields.base, linear_edges, linear_edge_count);
            add(Mutation{}.set(fields.rights, AccessRights::unusable_bit));
            for (const std::uint64_t value :
                 {0x0u, 0xfffu, 0xffffu, 0x10000u, 0xfffffu, 0x100000u, 0xfffff000u, 0xffffffffu}) {
                for (const std::uint32_t granularity : {0u, AccessRights::granularity_bit}) {
                    add(Mutation{}
                            .set(fields.limit, value)
                            .set(
                                fields.rights,
                                (base_.get(fields.rights) & ~AccessRights::granularity_bit) |
                                    granularity));
                }
            }
            // Each type with each DPL, for each RPL.
            for (std::uint32_t type = 0; type < 16; ++type) {
                for (std::uint32_t dpl = 0; dpl < 4; ++dpl) {
                    const std::uint32_t rights =
                        (base_.get(fields.rights) & ~(0xfu | (3u << AccessRights::dpl_shift))) |
                        type | (dpl << AccessRights::dpl_shift);
                    for (std::uint32_t rpl = 0; rpl < 4; rpl += dpl == 0 || type == 11 ? 1 : 3) {
                        add(Mutation{}
                                .set(fields.rights, rights)
                                .set(fields.selector, (base_.get(fields.selector) & ~3u) | rpl));
                    }
                }
            }
            // The same register unusable, with each other bit of its access rights.
            for (unsigned bit = 0; bit < 32; ++bit) {
                add(Mutation{}.flip(fields.rights, AccessRights::unusable_bit | (1u << bit)));
            }
            add(Mutation{}
                    .flip(fields.rights, AccessRights::unusable_bit)
                    .set(fields.base, 0x8000000000000000));
            add(Mutation{}
                    .flip(fields.rights, AccessRights::unusable_bit)
                    .flip(fields.selector, 4));
        }
        // SS with a null selector, as 64-bit code may have it, but usable.
        const Essential rest{*this};
        const Mutation null = Mutation{}.set(segment::ss.selector, 0);
        add(null);
        for (unsigned bit = 0; bit < 32; ++bit) {
            add(Mutation{null}.flip(segment::ss.rights, std::uint64_t{1} << bit));
            add(Mutation{null}.flip(segment::ss.limit, std::uint64_t{1} << bit));
        }
        for (const std::uint64_t value : linear_edges) {
            add(Mutation{null}.set(segment::ss.base, value));
        }
        // CS and SS agree on a privilege that the rest of the guest does not have.
        for (std::uint32_t dpl = 0; dpl < 4; ++dpl) {
            for (std::uint32_t rpl = 0; rpl < 4; ++rpl) {
                add(Mutation{}
                        .flip(segment::cs.rights, dpl << AccessRights::dpl_shift)
                        .flip(segment::ss.rights, dpl << AccessRights::dpl_shift)
                        .flip(segment::cs.selector, rpl)
                        .flip(segment::ss.selector, rpl));
                add(Mutation{}
                        .flip(segment::cs.rights, 4u | (dpl << AccessRights::dpl_shift))
                        .flip(segment::ss.rights, rpl << AccessRights::dpl_shift)
                        .flip(segment::cs.selector, rpl)
                        .flip(segment::ss.selector, rpl));
                Mutation unrestricted;
                if (with_secondary(SecondaryControl::unrestricted_guest, unrestricted)) {
                    add(unrestricted.flip(segment::cs.rights, dpl << AccessRights::dpl_shift)
                            .flip(segment::ss.rights, dpl << AccessRights::dpl_shift)
                            .flip(segment::cs.selector, rpl));
                    Mutation code_only;
                    with_secondary(SecondaryControl::unrestricted_guest, code_only);
                    add(code_only.flip(segment::cs.rights, dpl << AccessRights::dpl_shift)
                            .flip(segment::cs.selector, rpl));
                }
            }
        }
    }

    void guest_state() {
        each_bit(Field32::guest_interruptibility, 32);
        each_bit(FieldNatural::guest_pending_debug_exceptions, 64);
        each_bit(Field32::guest_activity_state, 32);
        for (std::uint64_t activity = 0; activity < 5; ++activity) {
            for (std::uint64_t blocking = 0; blocking < 16; ++blocking) {
                for (const std::uint64_t flags : {0u, 0x200u, 0x100u, 0x300u}) {
                    for (const std::uint64_t pending : {0u, 0x4000u}) {
                        add(Mutation{}
                                .set(Field32::guest_activity_state, activity)
                                .set(Field32::guest_interruptibility, blocking)
                                .flip(FieldNatural::guest_rflags, flags)
                                .set(FieldNatural::guest_pending_debug_exceptions, pending));
                    }
                }
            }
        }
        for (const std::uint64_t debugctl : {0u, 2u}) {
            for (const std::uint64_t pending : {0u, 0x4000u}) {
                add(Mutation{}
                        .set(Field32::guest_interruptibility, 2)
                        .flip(FieldNatural::guest_rflags, 0x100)
                        .set(Field64::guest_debugctl, debugctl)
                        .set(FieldNatural::guest_pending_debug_exceptions, pending));
            }
        }
        for (unsigned i = 0; i < edge_count; ++i) {
            add(Mutation{}.set(Field64::vmcs_link_pointer, edge(i)));
        }
        each_bit(Field64::vmcs_link_pointer, 64);
        for (const std::uint64_t page :
             {around_.link_good, around_.link_shadow, around_.link_bad, around_.current_vmcs}) {
            add(Mutation{}.set(Field64::vmcs_link_pointer, page));
            Mutation mutation;
            if (with_secondary(SecondaryControl::vmcs_shadowing, mutation)) {
                add(mutation.set(Field64::vmcs_link_pointer, page));
            }
        }
        for (const Field64 field : entry_checks::state::pdpte_fields) {
            each_bit(field, 64);
            for (unsigned bit = 0; bit < 64; ++bit) { // not present: nothing is reserved
                add(Mutation{}.set(field, (std::uint64_t{1} << bit) & ~std::uint64_t{1}));
            }
        }
        for (unsigned bit = 0; bit < 64; ++bit) {
            Mutation mutation;
            mutation.has_pdpte = true;
            mutation.pdpte = around_.pdptes[1] ^ (std::uint64_t{1} << bit);
            add(mutation);
        }
    }

    void events() {
        constexpr auto event = Field32::entry_interruption_information;
        const std::uint64_t valid = std::uint64_t{1} << 31;
        for (std::uint64_t type = 0; type < 8; ++type) {
            for (std::uint64_t vector = 0; vector < 36; ++vector) {
                for (const std::uint64_t code : {0u, 0x800u}) {
                    add(Mutation{}
                            .set(event, valid | (type << 8) | vector | code)
                            .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0));
                }
            }
            for (const std::uint64_t length : {0u, 1u, 15u, 16u, 0x80000000u}) {
                add(Mutation{}
                        .set(event, valid | (type << 8) | 0x80)
                        .set(Field32::entry_instruction_length, length));
            }
            for (std::uint64_t activity = 0; activity < 4; ++activity) {
                for (const std::uint64_t vector : {0u, 1u, 2u, 3u, 6u, 14u, 18u, 0x20u}) {
                    const std::uint64_t code = type == 3 && vector == 14 ? 0x800 : 0;
                    add(Mutation{}
                            .set(event, valid | (type << 8) | vector | code)
                            .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0)
                            .flip(FieldNatural::guest_rflags, 0x200)
                            .set(Field32::guest_activity_state, activity));
                }
            }
            for (std::uint64_t blocking = 0; blocking < 16; ++blocking) {
                Mutation mutation;
                mutation.set(
                            event, valid | (type << 8) |
                                       (type == 2   ? 2
                                        : type == 7 ? 0
                                                    : 6))
                    .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0)
                    .flip(FieldNatural::guest_rflags, 0x200)
                    .set(Field32::guest_interruptibility, blocking);
                add(mutation);
                add(mutation.set(
                    Field32::pin_based_controls, base_.get(Field32::pin_based_controls) |
                                                     control_bit(PinControl::nmi_exiting) |
                                                     control_bit(PinControl::virtual_nmis)));
            }
        }
        {
            const Essential all{*this};
            for (std::uint64_t blocking = 0; blocking < 16; ++blocking) {
                Mutation nmi;
                nmi.set(event, valid | 0x202)
                    .flip(FieldNatural::guest_rflags, 0x200)
                    .set(Field32::guest_interruptibility, blocking);
                add(nmi);
                add(nmi.set(
                    Field32::pin_based_controls, base_.get(Field32::pin_based_controls) |
                                                     control_bit(PinControl::nmi_exiting) |
                                                     control_bit(PinControl::virtual_nmis)));
            }
        }
        for (unsigned bit = 0; bit < 32; ++bit) {
            add(Mutation{}.set(event, (valid | (3u << 8) | 6) ^ (std::uint64_t{1} << bit)));
            add(Mutation{}
                    .set(event, valid | 0xb0d)
                    .set(Field32::entry_exception_error_code, std::uint64_t{1} << bit));
            add(Mutation{}
                    .set(event, valid | (4u << 8) | 0x80)
                    .set(Field32::entry_instruction_length, std::uint64_t{1} << bit));
            add(Mutation{}.set(event, (std::uint64_t{1} << bit) & ~valid));
        }
    }

    void lists() {
        struct List {
            Field64 address;
            Field32 count;
        };
        for (const List &list :
             {List{Field64::exit_msr_store_address, Field32::exit_msr_store_count},
              List{Field64::exit_msr_load_address, Field32::exit_msr_load_count},
              List{Field64::entry_msr_load_address, Field32::entry_msr_load_count}}) {
            const std::uint64_t good = list.count == Field32::entry_msr_load_count
                                           ? around_.msr_load_list
                                           : around_.harmless_msrs;
            const std::uint64_t top = std::uint64_t{1} << cpu_.physical_address_width;
            for (const std::uint64_t address :
                 {good, good | 1, good | 8, top, top - 16, top | good, std::uint64_t{1} << 63,
                  ~std::uint64_t{0xf}}) {
                // An address within the width is loaded from, so only one that is known to hold
                // harmless entries may be.
                const bool loads = list.count != Field32::exit_msr_store_count;
                for (const std::uint64_t count : {1u, 2u, 3u}) {
                    const bool enters = list.count == Field32::entry_msr_load_count &&
                                        address == good && count == 1;
                    if (!(loads && address == top - 16 && count == 1) && !enters) {
                        add(Mutation{}.set(list.address, address).set(list.count, count));
                    }
                }
            }
            for (unsigned bit = 0; bit < 64; ++bit) {
                if (bit < 4 || bit >= cpu_.physical_address_width) {
                    add(Mutation{}
                            .set(list.address, good ^ (std::uint64_t{1} << bit))
                            .set(list.count, 1));
                }
            }
            if (list.count != Field32::entry_msr_load_count) {
                add(Mutation{}.set(list.address, 1).set(list.count, 0));
            }
        }
        const Essential all{*this};
        add(Mutation{}
                .set(
                    Field64::exit_msr_store_address,
                    (std::uint64_t{1} << cpu_.physical_address_width) - 0x100)
                .set(Field32::exit_msr_store_count, 0x10000001));
        for (const std::uint64_t word :
             {0xc0000100ull, 0xc0000101ull, 0x800ull, 0x808ull, 0x8ffull, 0x900ull, 0x7ffull,
              0x9bull, 0x79ull, 0x174ull, 0x100000174ull, 0x8000000000000174ull}) {
            load_entry(word, 0);
        }
        for (const std::uint64_t value : linear_edges) {
            for (const std::uint64_t msr :
                 {0x175ull, 0x176ull, 0xc0000082ull, 0xc0000083ull, 0xc0000102ull}) {
                load_entry(msr, value);
            }
        }
        for (unsigned bit = 0; bit < 64; ++bit) {
            load_entry(0x174 | (bit >= 32 ? std::uint64_t{1} << bit : 0), 0);
            load_entry(0x277, 0x0606060606060606 ^ (std::uint64_t{1} << bit));
            load_entry(0xc0000084, std::uint64_t{1} << bit);
        }
    }

    /// An entry of the MSR-load list.
    void load_entry(std::uint64_t word, std::uint64_t value) {
        Mutation mutation;
        mutation.loads_msr = true;
        mutation.msr_index = word;
        mutation.msr_value = value;
        add(mutation);
    }

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
