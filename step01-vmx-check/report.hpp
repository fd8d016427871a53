// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The report: what the answers mean, one line of the log for each subject.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel.h"
#include "line.hpp"
#include "reading.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/controls.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// How many named bits of a word are of each kind.
struct Settings {
    unsigned must_be_1 = 0, may_be_1 = 0, must_be_0 = 0;

    void add(Setting setting) {
        (setting == Setting::must_be_1  ? must_be_1
         : setting == Setting::may_be_1 ? may_be_1
                                        : must_be_0)++;
    }
};

/// What a bit of CR0 or CR4 may be in VMX operation. A bit that is 1 in the FIXED0 register must
/// be 1, one that is 0 in FIXED1 must be 0. \sdm{vmx-fixed-bits-in-cr0} \sdm{vmx-fixed-bits-in-cr4}
constexpr Setting fixed_setting(std::uint64_t mask, std::uint64_t fixed0, std::uint64_t fixed1) {
    // [exercise 01-2]
    if ((fixed1 & mask) == 0)
        return Setting::must_be_0;
    return (fixed0 & mask) != 0 ? Setting::must_be_1 : Setting::may_be_1;
    // [exercise 01-2]
}

/// The two capability MSRs of a control word; the same one twice where there is no TRUE MSR.
struct CapabilityMsrs {
    Msr plain, exact;
};

/// By ControlWord.
inline constexpr CapabilityMsrs capability_msrs[] = {
    {Msr::vmx_pinbased_ctls, Msr::vmx_true_pinbased_ctls},
    {Msr::vmx_procbased_ctls, Msr::vmx_true_procbased_ctls},
    {Msr::vmx_procbased_ctls2, Msr::vmx_procbased_ctls2},
    {Msr::vmx_procbased_ctls3, Msr::vmx_procbased_ctls3},
    {Msr::vmx_exit_ctls, Msr::vmx_true_exit_ctls},
    {Msr::vmx_exit_ctls2, Msr::vmx_exit_ctls2},
    {Msr::vmx_entry_ctls, Msr::vmx_true_entry_ctls},
    {Msr::vmx_vmfunc, Msr::vmx_vmfunc},
    {Msr::vmx_ept_vpid_cap, Msr::vmx_ept_vpid_cap},
};

/// The capability MSR of a control word. The TRUE MSR, where there is one, says more: a control
/// that the plain MSR reports as "must be 1", to suit old software, may be 0 by the TRUE MSR.
/// \sdm{reserved-controls-and-default-settings}
constexpr Msr capability_msr(ControlWord word, bool has_true_controls) {
    const CapabilityMsrs &msrs = capability_msrs[static_cast<unsigned>(word)];
    return has_true_controls ? msrs.exact : msrs.plain;
}

/// CPUID. The two wrong registers are shown because programs that test them go unnoticed: on many
/// processors they give the right answer, for a reason that has nothing to do with VMX.
/// \sdm{discovering-support-for-vmx}
inline void tell_cpuid(const Reading &reading) {
    const bool eax = (reading.leaf1.eax & Cpuid1Ecx::vmx) != 0;
    const bool edx = (reading.leaf1.edx & Cpuid1Ecx::vmx) != 0;
    const auto judge = [&](bool says) {
        return says == reading.check.has_vmx ? "right by chance" : "wrong";
    };

    vtx_log("vendor (CPUID leaf 0): %s", reading.check.vendor);
    vtx_log(
        "CPUID.1:ECX[5] is %d: this CPU has %s", reading.check.has_vmx,
        reading.check.has_vmx ? "VMX" : "no VMX");
    vtx_log(
        "the wrong registers: EAX[5] (model number) says %s, %s; EDX[5] (MSRs exist) says "
        "%s, %s",
        eax ? "yes" : "no", judge(eax), edx ? "yes" : "no", judge(edx));
    vtx_log(
        "CPUID.1:ECX[31] is %d: %s", reading.check.hypervisor,
        reading.check.hypervisor ? "this is a virtual CPU, with a hypervisor beneath"
                                 : "no hypervisor beneath, or none that says so");
}

/// IA32_FEATURE_CONTROL. \sdm{enabling-and-entering-vmx-operation}
inline void tell_feature_control(const VmxCheck &check) {
    vtx_log(
        "IA32_FEATURE_CONTROL is %#llx: %s, VMXON %sallowed outside SMX operation",
        static_cast<unsigned long long>(check.feature_control),
        check.locked() ? "locked" : "not locked",
        (check.feature_control & FeatureControl::vmx_outside_smx) != 0 ? "" : "not ");
}

/// IA32_VMX_BASIC and IA32_VMX_MISC. \sdm{basic-vmx-information} \sdm{miscellaneous-data}
inline void tell_basic_and_misc(const VmxCapabilities &vmx) {
    const unsigned type = vmx.memory_type();
    const char *const type_name = type == 6 ? "write-back" : type == 0 ? "uncacheable" : "reserved";
    vtx_log(
        "IA32_VMX_BASIC: VMCS revision identifier %#x, regions of %u bytes, memory type %u "
        "(%s), %s",
        vmx.revision(), vmx.region_size(), type, type_name,
        vmx.has_true_controls() ? "TRUE control MSRs" : "no TRUE control MSRs");

    Line states;
    states.add_item("active");
    if (vmx.has_activity_hlt())
        states.add_item("HLT");
    if (vmx.has_activity_shutdown())
        states.add_item("shutdown");
    if (vmx.has_activity_wait_for_sipi())
        states.add_item("wait-for-SIPI");
    if (vmx.supports(PinControl::activate_preemption_timer))
        vtx_log(
            "IA32_VMX_MISC: the VMX-preemption timer runs at the rate of the TSC divided by %u",
            1u << vmx.preemption_timer_rate());
    else
        vtx_log("IA32_VMX_MISC: no VMX-preemption timer on this CPU");
    vtx_log(
        "IA32_VMX_MISC: activity states %s; CR3-target values: %u", states.text(),
        vmx.cr3_targets());
}

/// CR0 or CR4: what VMX operation demands, and whether `value` fits once the bits of `wanted` are
/// set in it.
template <std::size_t count>
void tell_fixed_bits(
    const char *name, const BitName (&bits)[count], std::uint64_t value, std::uint64_t wanted,
    std::uint64_t fixed0, std::uint64_t fixed1) {
    Settings settings;
    Line must_be_1;
    for (const BitName &bit : bits) {
        const Setting setting = fixed_setting(bit.mask, fixed0, fixed1);
        settings.add(setting);
        if (setting == Setting::must_be_1)
            must_be_1.add_acronym(bit.name);
    }
    vtx_log(
        "%s in VMX operation: %s must be 1, %u others may be 1, %u must be 0; now %#llx: %s", name,
        must_be_1.text("none"), settings.may_be_1, settings.must_be_0,
        static_cast<unsigned long long>(value),
        violated_fixed_bits(value | wanted, fixed0, fixed1) == 0 ? "fits" : "does not fit");
}

/// A control word: how many of its controls are of each kind. Reserved bits that must be 1 are
/// counted apart: they have no name, but a VM entry fails without them.
template <Control C> void tell_controls(const Reading &reading) {
    const ControlWord word = word_of(C{});
    Settings controls, reserved;
    if (!reading.value(capability_msr(word, false))) {
        vtx_log("%s: this CPU has none", control_word_name(word));
        return;
    }
    // [exercise 01-3]
    for (unsigned bit = 0; bit < 8 * sizeof(control_word_t<C>); bit++)
        (find_control(word, bit) != nullptr ? controls : reserved)
            .add(setting(static_cast<C>(bit), reading.vmx->allowed(C{})));
    // [exercise 01-3]
    vtx_log(
        "%s: %u must be 1 (and %u reserved bits), %u may be 1, %u must be 0",
        control_word_name(word), controls.must_be_1, reserved.must_be_1, controls.may_be_1,
        controls.must_be_0);
}

/// Everything that the capability MSRs say, in brief.
inline void tell_capabilities(const Reading &reading) {
    const VmxCapabilities &vmx = *reading.vmx;

    tell_basic_and_misc(vmx);
    tell_fixed_bits("CR0", cr0_bits, reading.cr0, 0, vmx.cr0_fixed0, vmx.cr0_fixed1);
    tell_fixed_bits("CR4", cr4_bits, reading.cr4, Cr4::vmxe, vmx.cr4_fixed0, vmx.cr4_fixed1);
    tell_controls<PinControl>(reading);
    tell_controls<PrimaryControl>(reading);
    tell_controls<SecondaryControl>(reading);
    tell_controls<TertiaryControl>(reading);
    tell_controls<ExitControl>(reading);
    tell_controls<SecondaryExitControl>(reading);
    tell_controls<EntryControl>(reading);
    vtx_log(
        "EPT: %s, VPID: %s, VM functions: %s",
        vmx.supports(SecondaryControl::enable_ept) ? "yes" : "no",
        vmx.supports(SecondaryControl::enable_vpid) ? "yes" : "no",
        vmx.supports(SecondaryControl::enable_vm_functions) ? "yes" : "no");
}

/// The answers of one logical processor, in brief.
inline void tell_reading(const Reading &reading) {
    tell_cpuid(reading);
    if (reading.check.has_vmx)
        tell_feature_control(reading.check);
    if (reading.vmx)
        tell_capabilities(reading);
}

/// The last word: can a reader go on here, and if not, what stands in the way? The later steps
/// refuse for the same reasons.
inline void tell_conclusion(const Reading &reading) {
    const VmxCheck &check = reading.check;

    if (!check.has_vmx && check.hypervisor)
        vtx_log(
            "no VMX: %s, a virtual CPU; let its hypervisor pass VMX on, if it can, or go on with "
            "./lab run 02, in the emulated machine",
            check.vendor);
    else if (!check.has_vmx)
        vtx_log("no VMX: %s; go on with ./lab run 02, in the emulated machine", check.vendor);
    else if (!reading.vmx)
        vtx_log(
            "VMX, but %s cannot be read: the hypervisor beneath passes VMX on only in part; "
            "go on with ./lab run 02, in the emulated machine",
            msr_name(reading.unreadable));
    else if (!check.locked() || !check.allowed())
        vtx_log("VMX, but the firmware does not allow it: enable virtualization (VT-x) in the "
                "firmware set-up and power-cycle, or go on with ./lab run 02");
    else if ((reading.cr4 & Cr4::vmxe) != 0)
        vtx_log("VMX, but another hypervisor holds it now (CR4.VMXE is 1): unload it before step "
                "02 (for KVM: rmmod kvm_intel)");
    else
        vtx_log("VMX is there and allowed: go on with step 02");
}

} // namespace vtx
