// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Mutations of controls, and of the addresses that go with them. Part of mutations.hpp.
#pragma once

#include "mutations.hpp"

namespace vtx::testing::detail {

template <class Sink> void Collector<Sink>::controls() {
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

template <class Sink> void Collector<Sink>::newer_controls() {
    const Essential all{*this};
    const std::uint64_t exit_controls = base_.get(Field32::exit_controls);
    for (unsigned bit = 0; bit < 64; ++bit) {
        Mutation tertiary;
        if (with_primary(PrimaryControl::activate_tertiary_controls, tertiary)) {
            add(tertiary.set(Field64::tertiary_controls, std::uint64_t{1} << bit));
        }
        if (cpu_.vmx.supports(ExitControl::activate_secondary_controls)) {
            add(Mutation{}
                    .set(
                        Field32::exit_controls,
                        exit_controls | control_bit(ExitControl::activate_secondary_controls))
                    .set(Field64::secondary_exit_controls, std::uint64_t{1} << bit));
        }
    }
    if (!cpu_.vmx.supports(PinControl::process_posted_interrupts)) {
        return;
    }
    constexpr std::uint32_t acknowledge = control_bit(ExitControl::acknowledge_interrupt_on_exit);
    const Mutation post = Mutation{}
                              .set(
                                  Field32::pin_based_controls,
                                  base_.get(Field32::pin_based_controls) |
                                      control_bit(PinControl::process_posted_interrupts) |
                                      control_bit(PinControl::external_interrupt_exiting))
                              .set(Field32::exit_controls, exit_controls | acknowledge);
    Mutation shadow = Mutation{post}.set(
        Field32::primary_controls,
        primary(use_secondary | control_bit(PrimaryControl::use_tpr_shadow)));
    add(shadow); // without virtual-interrupt delivery
    shadow.set(
        Field32::secondary_controls,
        secondary(control_bit(SecondaryControl::virtual_interrupt_delivery)));
    add(Mutation{shadow}.flip(Field32::exit_controls, acknowledge));
    edges_of(Field64::posted_interrupt_descriptor, shadow);
    add(post); // without a TPR shadow
    add(Mutation{post}.set(Field64::posted_interrupt_descriptor, 1));
    for (unsigned bit = 0; bit < 16; ++bit) {
        add(Mutation{shadow}.set(Field16::posted_interrupt_vector, std::uint64_t{1} << bit));
    }
}

template <class Sink> void Collector<Sink>::control_dependencies() {
    for (unsigned set = 0; set < 8; ++set) {
        const std::uint32_t pins = ((set & 1) != 0 ? control_bit(PinControl::nmi_exiting) : 0) |
                                   ((set & 2) != 0 ? control_bit(PinControl::virtual_nmis) : 0);
        Mutation mutation;
        mutation.set(Field32::pin_based_controls, base_.get(Field32::pin_based_controls) | pins);
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
                        Field32::primary_controls, primary(
                                                       control_bit(PrimaryControl::use_tpr_shadow) |
                                                       (more != 0 ? use_secondary : 0)))
                    .set(Field32::pin_based_controls, base_.get(Field32::pin_based_controls) | 1u)
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

template <class Sink> void Collector<Sink>::edges_of(Field64 field, const Mutation &enable) {
    for (unsigned i = 0; i < edge_count; ++i) {
        add(Mutation{enable}.set(field, edge(i)));
    }
    add(Mutation{}.set(field, 1)); // without the control
    for (unsigned bit = 0; bit < 64; ++bit) {
        add(Mutation{enable}.flip(field, std::uint64_t{1} << bit));
    }
}

template <class Sink> void Collector<Sink>::addresses() {
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
             BySecondary{SecondaryControl::virtualize_apic_accesses, Field64::apic_access_address},
             BySecondary{SecondaryControl::vmcs_shadowing, Field64::vmread_bitmap},
             BySecondary{SecondaryControl::vmcs_shadowing, Field64::vmwrite_bitmap},
             BySecondary{SecondaryControl::ept_violation_ve, Field64::ve_information_address},
             BySecondary{SecondaryControl::enable_pml, Field64::pml_address},
             BySecondary{SecondaryControl::sub_page_write_permissions, Field64::spp_table_pointer},
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
            add(Mutation{functions}.set(Field64::vm_function_controls, std::uint64_t{1} << bit));
        }
        edges_of(
            Field64::eptp_list_address, Mutation{functions}.set(Field64::vm_function_controls, 1));
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

} // namespace vtx::testing::detail
