// SPDX-License-Identifier: GPL-2.0-only
// long-file: one rule after the other, in the order of the SDM.
/// \file
/// Rules on the VM-execution control fields. Breaking one gives VM-instruction error 7.
/// \sdm{vm-execution-control-fields-in-vm-entry}
#pragma once

#include "doctor/rules/examination.hpp"

namespace vtx::entry_checks {

namespace execution {

using Pin = PinControl;
using First = PrimaryControl;
using Second = SecondaryControl;
using Third = TertiaryControl;
inline constexpr FailureClass bad = FailureClass::controls;
inline constexpr const char *sdm = "vm-execution-control-fields-in-vm-entry";
inline constexpr const char *newer = "+vm-execution-control-fields-in-vm-entry";

inline constexpr auto first_word = Field32::primary_controls;
inline constexpr auto second_word = Field32::secondary_controls;
inline constexpr auto third_word = Field64::tertiary_controls;

} // namespace execution

/// The rules on VM-execution controls, in the order of the SDM.
inline constexpr Rule execution_control_rules[] = {
    rule<Field32::pin_based_controls>(
        "C01", execution::bad,
        "each pin-based control must have a setting that the capability MSR allows", execution::sdm,
        [](Examination &x) { x.allowed(PinControl{}); }),

    rule<Field32::primary_controls>(
        "C02", execution::bad,
        "each primary processor-based control must have a setting that the capability MSR allows",
        execution::sdm, [](Examination &x) { x.allowed(PrimaryControl{}); }),

    rule<execution::first_word, execution::second_word>(
        "C03", execution::bad,
        "each secondary processor-based control must have a setting that the capability MSR allows",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PrimaryControl::activate_secondary_controls)) {
                x.allowed(SecondaryControl{});
            }
        }),

    rule<execution::first_word, execution::third_word>(
        "C04", execution::bad,
        "a tertiary processor-based control may be 1 only if the capability MSR allows it",
        execution::newer,
        [](Examination &x) {
            if (x.has(PrimaryControl::activate_tertiary_controls)) {
                x.allowed(Field64::tertiary_controls, x.cpu.vmx.tertiary);
            }
        }),

    rule<Field32::cr3_target_count>(
        "C05", execution::bad,
        "the CR3-target count must not exceed the number of CR3-target values that there are",
        execution::sdm,
        [](Examination &x) {
            const std::uint32_t count = x.get(Field32::cr3_target_count);
            if (count > x.cpu.vmx.cr3_targets()) {
                x.fault(Field32::cr3_target_count, count);
            }
        }),

    rule<execution::first_word, Field64::io_bitmap_a, Field64::io_bitmap_b>(
        "C06", execution::bad,
        "with \"use I/O bitmaps\", both bitmaps must be page-aligned and within the address width",
        execution::sdm,
        [](Examination &x) {
            for (const Field64 bitmap : {Field64::io_bitmap_a, Field64::io_bitmap_b}) {
                if (x.has(PrimaryControl::use_io_bitmaps)) {
                    x.page(bitmap);
                }
                x.next();
            }
        }),

    rule<execution::first_word, Field64::msr_bitmap>(
        "C07", execution::bad,
        "with \"use MSR bitmaps\", their address must be page-aligned and within the address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PrimaryControl::use_msr_bitmaps)) {
                x.page(Field64::msr_bitmap);
            }
        }),

    rule<execution::first_word, Field64::virtual_apic_address>(
        "C08", execution::bad,
        "with \"use TPR shadow\", the virtual-APIC address must be page-aligned and within the "
        "address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PrimaryControl::use_tpr_shadow)) {
                x.page(Field64::virtual_apic_address);
            }
        }),

    rule<execution::first_word, execution::second_word, Field32::tpr_threshold>(
        "C09", execution::bad,
        "with \"use TPR shadow\" and without \"virtual-interrupt delivery\", bits 31:4 of the TPR "
        "threshold must be 0",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PrimaryControl::use_tpr_shadow) &&
                !x.has(SecondaryControl::virtual_interrupt_delivery)) {
                x.zero(Field32::tpr_threshold, 0xfffffff0);
            }
        }),

    rule<
        execution::first_word, execution::second_word, Field32::tpr_threshold,
        Field64::virtual_apic_address>(
        "C10", execution::bad,
        "with \"use TPR shadow\", and neither \"virtualize APIC accesses\" nor "
        "\"virtual-interrupt delivery\", the TPR threshold must not exceed bits 7:4 of the TPR in "
        "the virtual-APIC page",
        execution::sdm,
        [](Examination &x) {
            if (!x.has(PrimaryControl::use_tpr_shadow) ||
                x.has(SecondaryControl::virtual_interrupt_delivery) ||
                x.has(SecondaryControl::virtualize_apic_accesses)) {
                return;
            }
            const std::uint64_t page = x.get(Field64::virtual_apic_address) & ~(page_size - 1);
            const std::uint32_t threshold = x.get(Field32::tpr_threshold) & 0xfu;
            if (threshold == 0) {
                return; // whatever the page holds
            }
            const std::uint64_t tpr = x.memory(page + 0x80) & 0xffu;
            if (threshold > (tpr >> 4)) {
                x.fault(Field32::tpr_threshold, threshold);
            }
        }),

    rule<Field32::pin_based_controls>(
        "C11", execution::bad, "\"virtual NMIs\" needs \"NMI exiting\"", execution::sdm,
        [](Examination &x) {
            if (!x.has(PinControl::nmi_exiting)) {
                x.forbid(PinControl::virtual_nmis);
            }
        }),

    rule<Field32::pin_based_controls, execution::first_word>(
        "C12", execution::bad, "\"NMI-window exiting\" needs \"virtual NMIs\"", execution::sdm,
        [](Examination &x) {
            if (!x.has(PinControl::virtual_nmis)) {
                x.forbid(PrimaryControl::nmi_window_exiting);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::apic_access_address>(
        "C13", execution::bad,
        "with \"virtualize APIC accesses\", the APIC-access address must be page-aligned and "
        "within the address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::virtualize_apic_accesses)) {
                x.page(Field64::apic_access_address);
            }
        }),

    rule<execution::first_word, execution::second_word>(
        "C14", execution::bad,
        "\"virtualize x2APIC mode\", \"APIC-register virtualization\" and \"virtual-interrupt "
        "delivery\" need \"use TPR shadow\"",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PrimaryControl::use_tpr_shadow)) {
                return;
            }
            std::uint32_t bits = 0;
            for (const SecondaryControl control :
                 {SecondaryControl::virtualize_x2apic_mode,
                  SecondaryControl::apic_register_virtualization,
                  SecondaryControl::virtual_interrupt_delivery}) {
                bits |= x.has(control) ? control_bit(control) : 0u;
            }
            if (bits != 0) {
                x.fault(Field32::secondary_controls, bits);
            }
        }),

    rule<execution::first_word, execution::second_word>(
        "C15", execution::bad,
        "\"virtualize x2APIC mode\" and \"virtualize APIC accesses\" exclude each other",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::virtualize_x2apic_mode)) {
                x.forbid(SecondaryControl::virtualize_apic_accesses);
            }
        }),

    rule<Field32::pin_based_controls, execution::first_word, execution::second_word>(
        "C16", execution::bad,
        "\"virtual-interrupt delivery\" needs \"external-interrupt exiting\"", execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::virtual_interrupt_delivery)) {
                x.require(PinControl::external_interrupt_exiting);
            }
        }),

    rule<Field32::pin_based_controls, execution::first_word, execution::second_word>(
        "C17a", execution::bad,
        "\"process posted interrupts\" needs \"virtual-interrupt delivery\"", execution::sdm,
        [](Examination &x) {
            if (x.has(PinControl::process_posted_interrupts)) {
                x.require(SecondaryControl::virtual_interrupt_delivery);
            }
        }),

    rule<Field32::pin_based_controls, Field32::exit_controls>(
        "C17b", execution::bad,
        "\"process posted interrupts\" needs \"acknowledge interrupt on exit\"", execution::sdm,
        [](Examination &x) {
            if (x.has(PinControl::process_posted_interrupts)) {
                x.require(ExitControl::acknowledge_interrupt_on_exit);
            }
        }),

    rule<Field32::pin_based_controls, Field16::posted_interrupt_vector>(
        "C17c", execution::bad,
        "with \"process posted interrupts\", bits 15:8 of the notification vector must be 0",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PinControl::process_posted_interrupts)) {
                x.zero(Field16::posted_interrupt_vector, 0xff00);
            }
        }),

    rule<Field32::pin_based_controls, Field64::posted_interrupt_descriptor>(
        "C17d", execution::bad,
        "with \"process posted interrupts\", the descriptor must be a multiple of 64 and within "
        "the address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(PinControl::process_posted_interrupts)) {
                x.address(Field64::posted_interrupt_descriptor, 64);
            }
        }),

    rule<execution::first_word, execution::second_word, Field16::vpid>(
        "C18", execution::bad, "with \"enable VPID\", the VPID must not be 0", execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_vpid) && x.get(Field16::vpid) == 0) {
                x.fault(Field16::vpid, 0xffff);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ept_pointer>(
        "C19", execution::bad,
        "with \"enable EPT\", the memory type in bits 2:0 of the EPTP must be one that "
        "IA32_VMX_EPT_VPID_CAP allows (0 uncacheable, 6 write-back)",
        execution::sdm,
        [](Examination &x) {
            if (!x.has(SecondaryControl::enable_ept)) {
                return;
            }
            const std::uint64_t type = x.get(Field64::ept_pointer) & 7u;
            const bool allowed =
                (type == 0 && x.cpu.vmx.supports(EptVpidCapability::uncacheable_structures)) ||
                (type == 6 && x.cpu.vmx.supports(EptVpidCapability::write_back_structures));
            if (!allowed) {
                x.fault(Field64::ept_pointer, 7);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ept_pointer>(
        "C20", execution::bad,
        "with \"enable EPT\", bits 5:3 of the EPTP must be a supported page-walk length minus 1 "
        "(3, or 4 where the capability MSR says so)",
        execution::sdm,
        [](Examination &x) {
            if (!x.has(SecondaryControl::enable_ept)) {
                return;
            }
            const std::uint64_t length = (x.get(Field64::ept_pointer) >> 3) & 7u;
            const bool allowed =
                (length == 3 && x.cpu.vmx.supports(EptVpidCapability::page_walk_length_4)) ||
                (length == 4 && x.cpu.vmx.supports(EptVpidCapability::page_walk_length_5));
            if (!allowed) {
                x.fault(Field64::ept_pointer, 0x38);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ept_pointer>(
        "C21", execution::bad,
        "with \"enable EPT\", bit 6 of the EPTP needs accessed and dirty flags for EPT",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_ept) &&
                !x.cpu.vmx.supports(EptVpidCapability::accessed_and_dirty_flags)) {
                x.zero(Field64::ept_pointer, 0x40);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ept_pointer>(
        "C22", execution::bad,
        "with \"enable EPT\", bit 7 of the EPTP needs supervisor shadow-stack control",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_ept) &&
                !x.cpu.vmx.supports(EptVpidCapability::supervisor_shadow_stack_control)) {
                x.zero(Field64::ept_pointer, 0x80);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ept_pointer>(
        "C23", execution::bad,
        "with \"enable EPT\", bits 11:8 of the EPTP and those beyond the address width must be 0",
        execution::sdm,
        [](Examination &x) {
            if (!x.has(SecondaryControl::enable_ept)) {
                return;
            }
            if (x.cpu.physical_address_width == 0) {
                x.doubt(Undecided::processor);
            }
            x.zero(Field64::ept_pointer, 0xf00 | x.cpu.bits_beyond_physical());
        }),

    rule<execution::first_word, execution::second_word>(
        "C24a", execution::bad, "\"enable PML\" needs \"enable EPT\"", execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_pml)) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::pml_address>(
        "C24b", execution::bad,
        "with \"enable PML\", the PML address must be page-aligned and within the address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_pml)) {
                x.page(Field64::pml_address);
            }
        }),

    rule<execution::first_word, execution::second_word>(
        "C25", execution::bad, "\"unrestricted guest\" needs \"enable EPT\"", execution::sdm,
        [](Examination &x) {
            if (x.unrestricted()) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<execution::first_word, execution::second_word>(
        "C26", execution::bad, "\"mode-based execute control for EPT\" needs \"enable EPT\"",
        execution::newer,
        [](Examination &x) {
            if (x.has(SecondaryControl::mode_based_execute_control)) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<execution::first_word, execution::second_word>(
        "C27a", execution::bad, "\"sub-page write permissions for EPT\" needs \"enable EPT\"",
        execution::newer,
        [](Examination &x) {
            if (x.has(SecondaryControl::sub_page_write_permissions)) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::spp_table_pointer>(
        "C27b", execution::bad,
        "with \"sub-page write permissions for EPT\", the table pointer must be page-aligned and "
        "within the address width",
        execution::newer,
        [](Examination &x) {
            if (x.has(SecondaryControl::sub_page_write_permissions)) {
                x.page(Field64::spp_table_pointer);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::vm_function_controls>(
        "C28", execution::bad,
        "with \"enable VM functions\", only functions that IA32_VMX_VMFUNC allows may be enabled",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::enable_vm_functions)) {
                x.allowed(Field64::vm_function_controls, x.cpu.vmx.vm_functions);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::vm_function_controls>(
        "C29a", execution::bad, "VM function \"EPTP switching\" needs \"enable EPT\"",
        execution::sdm,
        [](Examination &x) {
            if (x.has(VmFunction::eptp_switching)) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<
        execution::first_word, execution::second_word, Field64::vm_function_controls,
        Field64::eptp_list_address>(
        "C29b", execution::bad,
        "with VM function \"EPTP switching\", the EPTP list must be page-aligned and within the "
        "address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(VmFunction::eptp_switching)) {
                x.page(Field64::eptp_list_address);
            }
        }),

    rule<
        execution::first_word, execution::second_word, Field64::vmread_bitmap,
        Field64::vmwrite_bitmap>(
        "C30", execution::bad,
        "with \"VMCS shadowing\", both the VMREAD bitmap and the VMWRITE bitmap must be "
        "page-aligned and within the address width",
        execution::sdm,
        [](Examination &x) {
            for (const Field64 bitmap : {Field64::vmread_bitmap, Field64::vmwrite_bitmap}) {
                if (x.has(SecondaryControl::vmcs_shadowing)) {
                    x.page(bitmap);
                }
                x.next();
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::ve_information_address>(
        "C31", execution::bad,
        "with \"EPT-violation #VE\", the information address must be page-aligned and within the "
        "address width",
        execution::sdm,
        [](Examination &x) {
            if (x.has(SecondaryControl::ept_violation_ve)) {
                x.page(Field64::ve_information_address);
            }
        }),

    rule<
        execution::first_word, execution::second_word, Field32::exit_controls,
        Field32::entry_controls>(
        "C32", execution::bad,
        "\"Intel PT uses guest physical addresses\" needs \"enable EPT\", \"load IA32_RTIT_CTL\" "
        "and \"clear IA32_RTIT_CTL\"",
        execution::newer,
        [](Examination &x) {
            if (x.has(SecondaryControl::pt_uses_guest_physical)) {
                x.require(SecondaryControl::enable_ept);
            }
            x.next();
            if (x.has(SecondaryControl::pt_uses_guest_physical)) {
                x.require(EntryControl::load_rtit_ctl);
            }
            x.next();
            if (x.has(SecondaryControl::pt_uses_guest_physical)) {
                x.require(ExitControl::clear_rtit_ctl);
            }
        }),

    rule<execution::first_word, execution::second_word, Field64::tsc_multiplier>(
        "C33", execution::bad, "with \"use TSC scaling\", the TSC multiplier must not be 0",
        execution::newer,
        [](Examination &x) {
            if (x.has(SecondaryControl::use_tsc_scaling) && x.get(Field64::tsc_multiplier) == 0) {
                x.fault(Field64::tsc_multiplier, ~std::uint64_t{0});
            }
        }),

    // C34 of the table is no rule: the bitmaps of ENCLS, ENCLV, PCONFIG and XSS exiting may hold
    // anything.

    rule<execution::first_word, execution::second_word, execution::third_word>(
        "C35a", execution::bad,
        "\"enable HLAT\", \"EPT paging-write control\", \"guest-paging verification\" and \"PEBS "
        "uses "
        "guest physical addresses\" need \"enable EPT\"",
        execution::newer,
        [](Examination &x) {
            if (x.has(TertiaryControl::enable_hlat) ||
                x.has(TertiaryControl::ept_paging_write_control) ||
                x.has(TertiaryControl::guest_paging_verification) ||
                x.has(TertiaryControl::pebs_uses_guest_physical)) {
                x.require(SecondaryControl::enable_ept);
            }
        }),

    rule<execution::first_word, execution::third_word, Field64::hlat_pointer>(
        "C35b", execution::bad,
        "with \"enable HLAT\", bits 2:0 and 11:5 of the HLAT pointer and those beyond the address "
        "width must be 0",
        execution::newer,
        [](Examination &x) {
            if (!x.has(TertiaryControl::enable_hlat)) {
                return;
            }
            if (x.cpu.physical_address_width == 0) {
                x.doubt(Undecided::processor);
            }
            x.zero(Field64::hlat_pointer, 0xfe7 | x.cpu.bits_beyond_physical());
        }),

    rule<execution::first_word, execution::third_word>(
        "C36a", execution::bad, "\"IPI virtualization\" needs \"use TPR shadow\"", execution::newer,
        [](Examination &x) {
            if (x.has(TertiaryControl::ipi_virtualization)) {
                x.require(PrimaryControl::use_tpr_shadow);
            }
        }),

    rule<
        execution::first_word, execution::third_word, Field64::pid_pointer_table_address,
        Field16::last_pid_pointer_index>(
        "C36b", execution::bad,
        "with \"IPI virtualization\", the PID-pointer table must start at a multiple of 8 and end "
        "within the address width",
        execution::newer,
        [](Examination &x) {
            if (!x.has(TertiaryControl::ipi_virtualization)) {
                return;
            }
            x.address(Field64::pid_pointer_table_address, 8);
            const std::uint64_t first = x.get(Field64::pid_pointer_table_address);
            const std::uint64_t last =
                first + std::uint64_t{x.get(Field16::last_pid_pointer_index)} * 8 + 7;
            const std::uint64_t beyond = x.cpu.bits_beyond_address_width();
            if ((first & beyond) == 0 && (last & beyond) != 0) {
                x.fault(Field64::pid_pointer_table_address, last & beyond);
            }
        }),

    rule<
        execution::first_word, execution::second_word, Field64::low_pasid_directory,
        Field64::high_pasid_directory>(
        "C37", execution::bad,
        "with \"PASID translation\", both PASID directories must be page-aligned and "
        "within the address width",
        execution::newer,
        [](Examination &x) {
            for (const Field64 table :
                 {Field64::low_pasid_directory, Field64::high_pasid_directory}) {
                if (x.has(SecondaryControl::pasid_translation)) {
                    x.page(table);
                }
                x.next();
            }
        }),

    rule<execution::first_word, execution::second_word, execution::third_word>(
        "C38a", execution::bad,
        "\"APIC-timer virtualization\" needs \"virtual-interrupt delivery\"", execution::newer,
        [](Examination &x) {
            if (x.has(TertiaryControl::apic_timer_virtualization)) {
                x.require(SecondaryControl::virtual_interrupt_delivery);
            }
        }),

    rule<execution::first_word, execution::third_word>(
        "C38b", execution::bad,
        "\"APIC-timer virtualization\" and \"RDTSC exiting\" exclude each other", execution::newer,
        [](Examination &x) {
            if (x.has(TertiaryControl::apic_timer_virtualization)) {
                x.forbid(PrimaryControl::rdtsc_exiting);
            }
        }),

    rule<execution::first_word, execution::third_word, Field16::virtual_timer_vector>(
        "C38c", execution::bad,
        "with \"APIC-timer virtualization\", bits 15:8 of the virtual timer vector must be 0",
        execution::newer,
        [](Examination &x) {
            if (x.has(TertiaryControl::apic_timer_virtualization)) {
                x.zero(Field16::virtual_timer_vector, 0xff00);
            }
        }),
};

} // namespace vtx::entry_checks
