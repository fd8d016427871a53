// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a processor's VMX can do, read once from its capability MSRs, and the arithmetic that
/// turns the controls that you want into controls that the processor accepts.
#pragma once

#include "vmx/controls.hpp"
#include "x86/msr.hpp"

#include <concepts>
#include <cstdint>
#include <optional>

namespace vtx {

/// What a 32-bit control word may be. The SDM's "allowed 0-settings" are the bits that are 0 in
/// the low half of the capability MSR, its "allowed 1-settings" those that are 1 in the high half.
/// \sdm{vm-execution-controls}
struct Allowed {
    std::uint32_t must_be_1{}; ///< Bits that may not be 0: the MSR's low half.
    std::uint32_t may_be_1{};  ///< Bits that may be 1: the MSR's high half.

    constexpr Allowed() = default;

    /// From the two halves.
    constexpr Allowed(std::uint32_t low, std::uint32_t high) : must_be_1{low}, may_be_1{high} {}

    /// From the value of a capability MSR.
    static constexpr Allowed from_msr(std::uint64_t value) {
        return Allowed{static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
    }

    /// True if VM entry would accept this control word.
    constexpr bool permits(std::uint32_t word) const {
        return (must_be_1 & ~word) == 0 && (word & ~may_be_1) == 0;
    }

    friend constexpr bool operator==(const Allowed &, const Allowed &) = default;
};

/// What the processor says of one control.
enum class Setting : std::uint8_t {
    must_be_0, ///< The processor does not support it.
    may_be_1,  ///< Software chooses.
    must_be_1, ///< The processor does not support its absence.
};

/// The setting of a control in a 32-bit word.
template <NarrowControl C> constexpr Setting setting(C control, Allowed allowed) {
    if ((allowed.may_be_1 & control_bit(control)) == 0) {
        return Setting::must_be_0;
    }
    return (allowed.must_be_1 & control_bit(control)) != 0 ? Setting::must_be_1 : Setting::may_be_1;
}

/// The setting of a control in a 64-bit word, where no bit must be 1.
template <WideControl C> constexpr Setting setting(C control, std::uint64_t may_be_1) {
    return (may_be_1 & control_bit(control)) != 0 ? Setting::may_be_1 : Setting::must_be_0;
}

/// A control word after adjust().
template <Control C> struct Adjusted {
    ControlSet<C> value{};   ///< What to write to the VMCS. Of use only if ok().
    ControlSet<C> missing{}; ///< Required controls that the processor does not support.
    ControlSet<C> forced{};  ///< Controls in value that nobody asked for: they must be 1.

    /// True if every required control is supported.
    constexpr bool ok() const { return missing.empty(); }
};

/// Makes a control word that the processor accepts: all required controls, those optional ones
/// that it supports, and whatever must be 1.
/// \sdm{algorithms-for-determining-vmx-capabilities}
template <NarrowControl C>
constexpr Adjusted<C> adjust(ControlSet<C> required, ControlSet<C> optional, Allowed allowed) {
    const auto may_be_1 = ControlSet<C>::from_bits(allowed.may_be_1);
    const auto must_be_1 = ControlSet<C>::from_bits(allowed.must_be_1);
    const auto wanted = (required | optional) & may_be_1;
    return Adjusted<C>{wanted | must_be_1, required - may_be_1, must_be_1 - wanted};
}

/// The same for a 64-bit control word.
/// \param may_be_1 the value of the capability MSR
template <WideControl C>
constexpr Adjusted<C>
adjust(ControlSet<C> required, ControlSet<C> optional, std::uint64_t may_be_1) {
    const auto allowed = ControlSet<C>::from_bits(may_be_1);
    return Adjusted<C>{(required | optional) & allowed, required - allowed, {}};
}

/// Everything that the capability MSRs say. A register that does not exist counts as "nothing is
/// supported": 0. \sdm{appendix-vmx-capability-reporting-facility}
struct VmxCapabilities {
    std::uint64_t basic{};          ///< IA32_VMX_BASIC
    Allowed pin{};                  ///< pin-based controls, from the TRUE MSR if there is one
    Allowed primary{};              ///< primary processor-based controls, likewise
    Allowed secondary{};            ///< secondary processor-based controls
    Allowed exit{};                 ///< VM-exit controls, from the TRUE MSR if there is one
    Allowed entry{};                ///< VM-entry controls, likewise
    std::uint64_t tertiary{};       ///< tertiary controls that may be 1
    std::uint64_t secondary_exit{}; ///< secondary VM-exit controls that may be 1
    std::uint64_t misc{};           ///< IA32_VMX_MISC
    std::uint64_t cr0_fixed0{};     ///< bits of CR0 that must be 1
    std::uint64_t cr0_fixed1{};     ///< bits of CR0 that may be 1
    std::uint64_t cr4_fixed0{};     ///< bits of CR4 that must be 1
    std::uint64_t cr4_fixed1{};     ///< bits of CR4 that may be 1
    std::uint64_t vmcs_enum{};      ///< IA32_VMX_VMCS_ENUM
    std::uint64_t ept_vpid{};       ///< IA32_VMX_EPT_VPID_CAP
    std::uint64_t vm_functions{};   ///< IA32_VMX_VMFUNC: VM functions that may be enabled

    // IA32_VMX_BASIC \sdm{basic-vmx-information}

    /// VMCS revision identifier, bits 30:0: the first four bytes of each VMCS and VMXON region.
    constexpr std::uint32_t revision() const {
        return static_cast<std::uint32_t>(basic & 0x7fffffff);
    }

    /// Bytes of a VMCS or VMXON region, bits 44:32: at most 4096.
    constexpr std::uint32_t region_size() const {
        return static_cast<std::uint32_t>(basic >> 32) & 0x1fffu;
    }

    /// Bit 48: VMX structures must lie below 4 GByte. Always false on CPUs with 64-bit mode.
    constexpr bool has_32_bit_addresses() const { return bit(basic, 48); }

    /// Bit 49: dual-monitor treatment of SMIs and SMM.
    constexpr bool has_dual_monitor_treatment() const { return bit(basic, 49); }

    /// Memory type of VMX structures, bits 53:50: 6 is write-back, 0 uncacheable.
    constexpr unsigned memory_type() const { return static_cast<unsigned>(basic >> 50) & 0xfu; }

    /// Bit 54: exits by INS and OUTS fill in the VM-exit instruction information.
    constexpr bool reports_ins_outs() const { return bit(basic, 54); }

    /// Bit 55: the TRUE control MSRs exist, and some controls that used to be fixed to 1 are not.
    constexpr bool has_true_controls() const { return bit(basic, 55); }

    /// Bit 56: any exception may be injected with error code or not. Newer than the pinned edition.
    constexpr bool injects_any_error_code() const { return bit(basic, 56); }

    /// Bit 58: an injected exception may be marked as nested (FRED). Newer than the pinned edition.
    constexpr bool injects_nested_exceptions() const { return bit(basic, 58); }

    // IA32_VMX_MISC \sdm{miscellaneous-data}

    /// The VMX-preemption timer counts down by 1 each time bit `rate` of the TSC changes.
    constexpr unsigned preemption_timer_rate() const { return static_cast<unsigned>(misc) & 0x1fu; }

    /// Bit 5: VM exits store IA32_EFER.LMA into the control "IA-32e mode guest".
    constexpr bool stores_efer_lma() const { return bit(misc, 5); }

    /// Bit 6: activity state HLT.
    constexpr bool has_activity_hlt() const { return bit(misc, 6); }

    /// Bit 7: activity state shutdown.
    constexpr bool has_activity_shutdown() const { return bit(misc, 7); }

    /// Bit 8: activity state wait-for-SIPI.
    constexpr bool has_activity_wait_for_sipi() const { return bit(misc, 8); }

    /// Bit 14: Intel PT may be used in VMX operation.
    constexpr bool has_intel_pt() const { return bit(misc, 14); }

    /// CR3-target values, bits 24:16.
    constexpr unsigned cr3_targets() const { return static_cast<unsigned>(misc >> 16) & 0x1ffu; }

    /// Recommended limit of entries in an MSR-load or MSR-store list: 512 * (bits 27:25 + 1).
    constexpr unsigned msr_list_max() const {
        return 512 * ((static_cast<unsigned>(misc >> 25) & 7u) + 1);
    }

    /// Bit 29: VMWRITE may write every field, VM-exit information included.
    constexpr bool writes_read_only_fields() const { return bit(misc, 29); }

    /// Bit 30: a software event may be injected with an instruction length of 0.
    constexpr bool injects_length_0() const { return bit(misc, 30); }

    /// MSEG revision identifier, bits 63:32.
    constexpr std::uint32_t mseg_revision() const { return static_cast<std::uint32_t>(misc >> 32); }

    // IA32_VMX_VMCS_ENUM \sdm{vmcs-enumeration}

    /// Highest field_index() of any field, bits 9:1.
    constexpr unsigned highest_field_index() const {
        return static_cast<unsigned>(vmcs_enum >> 1) & 0x1ffu;
    }

    /// \name Allowed settings
    /// @{

    /// What the word of a control may be: an Allowed, or for 64-bit words the bits that may be 1.
    constexpr Allowed allowed(PinControl) const { return pin; }
    constexpr Allowed allowed(PrimaryControl) const { return primary; }
    constexpr Allowed allowed(SecondaryControl) const { return secondary; }
    constexpr Allowed allowed(ExitControl) const { return exit; }
    constexpr Allowed allowed(EntryControl) const { return entry; }
    constexpr std::uint64_t allowed(TertiaryControl) const { return tertiary; }
    constexpr std::uint64_t allowed(SecondaryExitControl) const { return secondary_exit; }
    constexpr std::uint64_t allowed(VmFunction) const { return vm_functions; }
    constexpr std::uint64_t allowed(EptVpidCapability) const { return ept_vpid; }
    /// @}

    /// True if the control may be 1.
    template <Control C> constexpr bool supports(C control) const {
        return setting(control, allowed(control)) != Setting::must_be_0;
    }

    /// adjust() with what this processor allows.
    template <Control C>
    constexpr Adjusted<C> adjust(ControlSet<C> required, ControlSet<C> optional = {}) const {
        return vtx::adjust(required, optional, allowed(C{}));
    }

    friend constexpr bool operator==(const VmxCapabilities &, const VmxCapabilities &) = default;

private:
    static constexpr bool bit(std::uint64_t value, unsigned number) {
        return ((value >> number) & 1u) != 0;
    }
};

/// Reads the capability MSRs that the processor at hand has, because RDMSR of a missing one raises
/// \#GP. The earlier MSRs say which exist (0x492 and 0x493 are newer than the pinned edition):
///
/// * 0x480 to 0x48a exist on every processor with VMX;
/// * 0x48d to 0x490 (TRUE controls) if bit 55 of 0x480 is 1;
/// * 0x48b (secondary controls) if "activate secondary controls" may be 1: bit 63 of 0x482;
/// * 0x48c (EPT and VPID) if "enable EPT" or "enable VPID" may be 1: bit 33 or 37 of 0x48b;
/// * 0x491 (VM functions) if "enable VM functions" may be 1: bit 45 of 0x48b;
/// * 0x492 (tertiary controls) if "activate tertiary controls" may be 1: bit 49 of 0x482;
/// * 0x493 (secondary VM-exit controls) if "activate secondary controls" may be 1: bit 63 of 0x483.
///
/// Precondition: CPUID says that there is VMX.
/// \param reader called as reader(Msr), gives std::optional<std::uint64_t>; read_msr_safe() is one
/// \return nothing if an MSR that should exist cannot be read
/// \sdm{appendix-vmx-capability-reporting-facility}
template <class Reader>
requires std::invocable<Reader &, Msr> &&
    std::convertible_to<std::invoke_result_t<Reader &, Msr>, std::optional<std::uint64_t>>
constexpr std::optional<VmxCapabilities> read_capabilities(Reader &&reader) {
    bool complete = true;
    const auto read = [&](Msr msr) -> std::uint64_t {
        if (!complete) {
            return 0;
        }
        const std::optional<std::uint64_t> value = reader(msr);
        complete = value.has_value();
        return complete ? *value : 0;
    };

    VmxCapabilities caps;
    caps.basic = read(Msr::vmx_basic);
    caps.pin = Allowed::from_msr(read(Msr::vmx_pinbased_ctls));
    caps.primary = Allowed::from_msr(read(Msr::vmx_procbased_ctls));
    caps.exit = Allowed::from_msr(read(Msr::vmx_exit_ctls));
    caps.entry = Allowed::from_msr(read(Msr::vmx_entry_ctls));
    caps.misc = read(Msr::vmx_misc);
    caps.cr0_fixed0 = read(Msr::vmx_cr0_fixed0);
    caps.cr0_fixed1 = read(Msr::vmx_cr0_fixed1);
    caps.cr4_fixed0 = read(Msr::vmx_cr4_fixed0);
    caps.cr4_fixed1 = read(Msr::vmx_cr4_fixed1);
    caps.vmcs_enum = read(Msr::vmx_vmcs_enum);
    if (caps.has_true_controls()) {
        caps.pin = Allowed::from_msr(read(Msr::vmx_true_pinbased_ctls));
        caps.primary = Allowed::from_msr(read(Msr::vmx_true_procbased_ctls));
        caps.exit = Allowed::from_msr(read(Msr::vmx_true_exit_ctls));
        caps.entry = Allowed::from_msr(read(Msr::vmx_true_entry_ctls));
    }
    if (caps.supports(PrimaryControl::activate_secondary_controls)) {
        caps.secondary = Allowed::from_msr(read(Msr::vmx_procbased_ctls2));
    }
    if (caps.supports(SecondaryControl::enable_ept) ||
        caps.supports(SecondaryControl::enable_vpid)) {
        caps.ept_vpid = read(Msr::vmx_ept_vpid_cap);
    }
    if (caps.supports(SecondaryControl::enable_vm_functions)) {
        caps.vm_functions = read(Msr::vmx_vmfunc);
    }
    if (caps.supports(PrimaryControl::activate_tertiary_controls)) {
        caps.tertiary = read(Msr::vmx_procbased_ctls3);
    }
    if (caps.supports(ExitControl::activate_secondary_controls)) {
        caps.secondary_exit = read(Msr::vmx_exit_ctls2);
    }
    if (!complete) {
        return std::nullopt;
    }
    return caps;
}

} // namespace vtx
