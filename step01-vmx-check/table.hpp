// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The whole table: every bit of every register of the report, by its SDM name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel.h"
#include "line.hpp"
#include "reading.hpp"
#include "report.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/controls.hpp"

namespace vtx {

/// "must be 1", "may be 1" or "must be 0".
constexpr const char *setting_name(Setting setting) {
    switch (setting) {
    case Setting::must_be_0:
        return "must be 0";
    case Setting::may_be_1:
        return "may be 1";
    case Setting::must_be_1:
        return "must be 1";
    }
    return "(no setting)";
}

/// Prints a heading with an MSR's value. False if the MSR does not exist, which it says instead.
inline bool show_heading(
    vtx_table *table, const char *heading, Msr msr, const std::optional<std::uint64_t> &value) {
    if (value)
        vtx_print(
            table, "\n%s: %s = %#018llx\n", heading, msr_name(msr),
            static_cast<unsigned long long>(*value));
    else
        vtx_print(table, "\n%s: %s does not exist on this CPU\n", heading, msr_name(msr));
    return value.has_value();
}

/// One property in words.
inline void show_property(vtx_table *table, const char *property, bool has) {
    vtx_print(table, "  %-6s  %s\n", has ? "yes" : "no", property);
}

/// One property as a number.
inline void show_number(vtx_table *table, const char *property, unsigned value) {
    vtx_print(table, "  %-6u  %s\n", value, property);
}

/// One property as an identifier: a number in hexadecimal.
inline void show_identifier(vtx_table *table, const char *property, std::uint32_t value) {
    vtx_print(table, "  %#-6x  %s\n", value, property);
}

/// A control word, bit by bit. Reserved bits are left out if they must be 0, as most are.
template <Control C> void show_controls(vtx_table *table, const Reading &reading) {
    const VmxCapabilities &vmx = *reading.vmx;
    const ControlWord word = word_of(C{});
    const Msr msr = capability_msr(word, vmx.has_true_controls());
    const std::optional<std::uint64_t> &plain = reading.value(capability_msr(word, false));

    if (!show_heading(table, control_word_name(word), msr, reading.value(msr)))
        return;
    for (unsigned bit = 0; bit < 8 * sizeof(control_word_t<C>); bit++) {
        const ControlInfo *const control = find_control(word, bit);
        const Setting is = setting(static_cast<C>(bit), vmx.allowed(C{}));
        if (control == nullptr && is == Setting::must_be_0)
            continue;
        bool by_default = false;
        if constexpr (NarrowControl<C>)
            by_default = is == Setting::may_be_1 && (*plain >> bit & 1) != 0;
        vtx_print(
            table, "  bit %2u  %c %-9s  %s\n", bit, by_default ? '*' : ' ', setting_name(is),
            control != nullptr ? control->name : "(reserved)");
    }
}

/// CR0 or CR4 by the names of the bits.
template <std::size_t count>
void show_fixed_bits(
    vtx_table *table, const char *name, const BitName (&bits)[count], std::uint64_t fixed0,
    std::uint64_t fixed1) {
    vtx_print(
        table, "\n%s in VMX operation: IA32_VMX_%s_FIXED0 = %#llx, IA32_VMX_%s_FIXED1 = %#llx\n",
        name, name, static_cast<unsigned long long>(fixed0), name,
        static_cast<unsigned long long>(fixed1));
    for (const BitName &bit : bits)
        vtx_print(
            table, "  %-10s  %-9s  %s\n", Line().add_acronym(bit.name).text(),
            setting_name(fixed_setting(bit.mask, fixed0, fixed1)), bit.text);
}

/// IA32_VMX_BASIC, IA32_VMX_MISC and IA32_VMX_VMCS_ENUM.
inline void show_basic_and_misc(vtx_table *table, const Reading &reading) {
    const VmxCapabilities &vmx = *reading.vmx;

    show_heading(table, "Basic VMX information", Msr::vmx_basic, vmx.basic);
    show_identifier(table, "VMCS revision identifier", vmx.revision());
    show_number(table, "bytes of a VMXON region or a VMCS region", vmx.region_size());
    show_number(
        table, "memory type of VMX structures (6: write-back, 0: uncacheable)", vmx.memory_type());
    show_property(table, "VMX structures must lie below 4 GByte", vmx.has_32_bit_addresses());
    show_property(
        table, "dual-monitor treatment of SMIs and SMM", vmx.has_dual_monitor_treatment());
    show_property(table, "VM exits by INS and OUTS report the instruction", vmx.reports_ins_outs());
    show_property(table, "TRUE control MSRs", vmx.has_true_controls());
    show_property(
        table, "any exception may be injected with or without an error code",
        vmx.injects_any_error_code());

    show_heading(table, "Miscellaneous data", Msr::vmx_misc, vmx.misc);
    show_number(
        table, "the VMX-preemption timer counts each time this bit of the TSC changes",
        vmx.preemption_timer_rate());
    show_property(
        table, "VM exits store IA32_EFER.LMA into \"IA-32e mode guest\"", vmx.stores_efer_lma());
    show_property(table, "activity state HLT", vmx.has_activity_hlt());
    show_property(table, "activity state shutdown", vmx.has_activity_shutdown());
    show_property(table, "activity state wait-for-SIPI", vmx.has_activity_wait_for_sipi());
    show_property(table, "Intel PT can be used in VMX operation", vmx.has_intel_pt());
    show_number(table, "CR3-target values", vmx.cr3_targets());
    show_number(
        table, "recommended limit of entries in an MSR-load or MSR-store list", vmx.msr_list_max());
    show_property(
        table, "VMWRITE can write every field, read-only ones too", vmx.writes_read_only_fields());
    show_property(
        table, "a software event may be injected with instruction length 0",
        vmx.injects_length_0());
    show_identifier(table, "MSEG revision identifier", vmx.mseg_revision());

    show_heading(table, "VMCS enumeration", Msr::vmx_vmcs_enum, vmx.vmcs_enum);
    show_number(table, "highest index of a VMCS field", vmx.highest_field_index());
}

/// IA32_VMX_EPT_VPID_CAP: not controls, but plain yes and no.
inline void show_ept_vpid(vtx_table *table, const Reading &reading) {
    const ControlWord word = ControlWord::ept_vpid_capability;
    if (!show_heading(
            table, control_word_name(word), Msr::vmx_ept_vpid_cap,
            reading.value(Msr::vmx_ept_vpid_cap)))
        return;
    for (const ControlInfo &row : all_controls)
        if (row.word == word)
            show_property(table, row.name, reading.vmx->supports(EptVpidCapability{row.bit}));
}

/// The registers that every x86-64 CPU has, and IA32_FEATURE_CONTROL.
inline void show_check(vtx_table *table, const Reading &reading) {
    vtx_print(
        table, "\nCPUID: vendor %s, leaf 1: EAX %08x EBX %08x ECX %08x EDX %08x\n",
        reading.check.vendor, reading.leaf1.eax, reading.leaf1.ebx, reading.leaf1.ecx,
        reading.leaf1.edx);
    show_property(table, "VMX, bit 5 of ECX", reading.check.has_vmx);
    show_property(table, "a hypervisor beneath, bit 31 of ECX", reading.check.hypervisor);
    if (!show_heading(
            table, "What the firmware allows", Msr::feature_control,
            reading.value(Msr::feature_control)))
        return;
    const std::uint64_t control = reading.check.feature_control;
    show_property(table, "locked until the next reset", (control & FeatureControl::lock) != 0);
    show_property(
        table, "VMXON inside SMX operation", (control & FeatureControl::vmx_inside_smx) != 0);
    show_property(
        table, "VMXON outside SMX operation", (control & FeatureControl::vmx_outside_smx) != 0);
}

/// The table of one logical processor.
inline void show_reading(vtx_table *table, unsigned int cpu, const Reading &reading) {
    vtx_print(
        table,
        "VMX capabilities of cpu %u\n"
        "  must be 1  the processor demands it\n"
        "  may be 1   software chooses\n"
        "  must be 0  the processor does not have it\n"
        "  *          must be 1 for software that reads the MSR without TRUE in its name\n",
        cpu);
    show_check(table, reading);
    if (!reading.vmx)
        return;
    show_basic_and_misc(table, reading);
    show_fixed_bits(table, "CR0", cr0_bits, reading.vmx->cr0_fixed0, reading.vmx->cr0_fixed1);
    show_fixed_bits(table, "CR4", cr4_bits, reading.vmx->cr4_fixed0, reading.vmx->cr4_fixed1);
    show_controls<PinControl>(table, reading);
    show_controls<PrimaryControl>(table, reading);
    show_controls<SecondaryControl>(table, reading);
    show_controls<TertiaryControl>(table, reading);
    show_controls<ExitControl>(table, reading);
    show_controls<SecondaryExitControl>(table, reading);
    show_controls<EntryControl>(table, reading);
    show_controls<VmFunction>(table, reading);
    show_ept_vpid(table, reading);
}

} // namespace vtx
