// SPDX-License-Identifier: GPL-2.0-only
// long-file: a table of mutations, most of it data.
/// \file
/// Mutations of host and guest state. Part of mutations.hpp.
#pragma once

#include "mutations.hpp"

namespace vtx::testing::detail {

template <class Sink> void Collector<Sink>::host() {
    // Values that are no fault take effect at the VM exit that follows: those that this test
    // cannot live with are left out (host CR3 within the width, a canonical host RIP, and CR4.LASS,
    // which forbids the half of the address space in which this program lies).
    const std::uint64_t lass = cpu_.vmx.cr4_fixed1 & (std::uint64_t{1} << 27);
    for (unsigned bit = 0; bit < 64; ++bit) {
        if (bit != 30 && bit != 29) { // CD and NW: not worth their price
            add(Mutation{}.flip(FieldNatural::host_cr0, std::uint64_t{1} << bit));
        }
        if (std::uint64_t{1} << bit != lass) {
            add(Mutation{}.flip(FieldNatural::host_cr4, std::uint64_t{1} << bit));
        }
        if (bit >= cpu_.physical_address_width) {
            add(Mutation{}.flip(FieldNatural::host_cr3, std::uint64_t{1} << bit));
        }
        if (bit >= 48) {
            add(Mutation{}.flip(FieldNatural::host_rip, std::uint64_t{1} << bit));
        }
    }
    {
        // For each of these rules a value that breaks it, and then one that does not.
        const Essential all{*this};
        add(Mutation{}.flip(FieldNatural::host_cr3, std::uint64_t{1} << 63));
        add(Mutation{}.flip(FieldNatural::host_cr3, 8)); // PWT
        add(Mutation{}.set(FieldNatural::host_fs_base, std::uint64_t{1} << 47));
        add(Mutation{}.set(FieldNatural::host_fs_base, 0xffff800000000000));
        if (cpu_.vmx.supports(ExitControl::load_efer)) {
            add(Mutation{}.flip(Field64::host_efer, Efer::lme));
            add(Mutation{}.flip(Field64::host_efer, Efer::sce));
        }
        // Outside IA-32e mode, which H15 forbids here as well.
        add(Mutation{}
                .flip(Field32::exit_controls, control_bit(ExitControl::host_address_space_size))
                .set(Field16::host_ss_selector, 0));
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
    for (unsigned bit = 0; bit < 64; ++bit) {
        if (cpu_.vmx.supports(SecondaryExitControl::load_spec_ctrl)) {
            add(Mutation{}
                    .set(
                        Field32::exit_controls,
                        base_.get(Field32::exit_controls) |
                            control_bit(ExitControl::activate_secondary_controls))
                    .set(
                        Field64::secondary_exit_controls,
                        control_bit(SecondaryExitControl::load_spec_ctrl))
                    .set(Field64::host_spec_ctrl, std::uint64_t{1} << bit));
        }
    }
    if (cpu_.vmx.supports(ExitControl::load_cet_state)) {
        {
            const Essential all{*this};
            add(Mutation{}
                    .flip(FieldNatural::host_cr4, Cr4::cet)
                    .flip(FieldNatural::host_cr0, Cr0::wp));
            const Mutation load =
                Mutation{}
                    .flip(Field32::exit_controls, control_bit(ExitControl::load_cet_state))
                    .flip(FieldNatural::host_cr4, Cr4::cet);
            add(Mutation{load}.flip(FieldNatural::host_cr0, Cr0::wp));
            add(Mutation{load}.flip(FieldNatural::host_cr0, Cr0::am));
        }
        cet_state(
            Field32::exit_controls, control_bit(ExitControl::load_cet_state),
            FieldNatural::host_s_cet, FieldNatural::host_ssp,
            FieldNatural::host_interrupt_ssp_table);
    }
}

template <class Sink>
template <Control C>
void Collector<Sink>::load_msr(C control, Field64 field) {
    if (!cpu_.vmx.supports(control)) {
        return;
    }
    Mutation load;
    load.set(control_field(control), base_.get(control_field(control)) | control_bit(control));
    for (unsigned bit = 0; bit < 64; ++bit) {
        add(Mutation{load}.flip(field, std::uint64_t{1} << bit));
    }
    if (field == Field64::host_pat || field == Field64::guest_pat) {
        for (std::uint64_t type = 0; type < 9; ++type) {
            for (unsigned byte = 0; byte < 8; ++byte) {
                const std::uint64_t mask = std::uint64_t{0xff} << (8 * byte);
                add(Mutation{load}.set(field, (0x0606060606060606 & ~mask) | (type << (8 * byte))));
            }
        }
    }
}

template <class Sink>
void Collector<Sink>::cet_state(
    Field32 word, std::uint32_t control, FieldNatural s_cet, FieldNatural ssp, FieldNatural table) {
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

template <class Sink> void Collector<Sink>::guest_registers() {
    each_bit(FieldNatural::guest_cr0, 64);
    each_bit(FieldNatural::guest_cr4, 64);
    each_bit(FieldNatural::guest_cr3, 64);
    each_bit(FieldNatural::guest_rflags, 64);
    each_bit(FieldNatural::guest_dr7, 64);
    each_bit(Field64::guest_debugctl, 64);
    for (const FieldNatural field :
         {FieldNatural::guest_sysenter_esp, FieldNatural::guest_sysenter_eip,
          FieldNatural::guest_gdtr_base, FieldNatural::guest_idtr_base, FieldNatural::guest_rip}) {
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
        const Essential all{*this};
        for (const std::uint64_t bit : {Cr0::wp, Cr0::am}) {
            add(Mutation{}
                    .flip(FieldNatural::guest_cr4, Cr4::cet)
                    .flip(FieldNatural::guest_cr0, bit));
        }
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
    add(Mutation{}.flip(FieldNatural::guest_cr4, Cr4::pae));
    add(Mutation{}.flip(FieldNatural::guest_cr4, Cr4::pge));
}

template <class Sink> void Collector<Sink>::guest_segments() {
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
                    (base_.get(fields.rights) & ~(0xfu | (3u << AccessRights::dpl_shift))) | type |
                    (dpl << AccessRights::dpl_shift);
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
        add(Mutation{}.flip(fields.rights, AccessRights::unusable_bit).flip(fields.selector, 4));
    }
    const Essential rest{*this};
    // A base that does not fit the selector, and one that does, as virtual-8086 mode wants it.
    add(Mutation{}.set(FieldNatural::guest_ds_base, 0x10));
    add(Mutation{}
            .set(FieldNatural::guest_ds_base, 0x12340)
            .set(Field16::guest_ds_selector, 0x1234));
    // SS with a null selector, as 64-bit code may have it, but usable.
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

template <class Sink> void Collector<Sink>::guest_state() {
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
    {
        const Essential all{*this};
        Mutation smm;
        smm.flip(Field32::entry_controls, control_bit(EntryControl::entry_to_smm));
        add(Mutation{smm}.set(Field32::guest_activity_state, 3));
        add(smm.flip(
            Field32::entry_controls, control_bit(EntryControl::deactivate_dual_monitor_treatment)));
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

} // namespace vtx::testing::detail
