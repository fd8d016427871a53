// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The control words of a VMCS: each word has its own enumeration of bit numbers, and a set of
/// controls takes only those of its own word.
#pragma once

#include "vmx/fields.hpp"

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace vtx {

#define VTX_BIT_NUMBER(name, bit, linux_name, sdm_name) name = bit,

/// \sdm{table-definitions-of-pin-based-vm-execution-controls}
enum class PinControl : std::uint8_t {
#define VTX_PIN_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// \sdm{table-definitions-of-primary-processor-based-vm-execution-controls}
enum class PrimaryControl : std::uint8_t {
#define VTX_PRIMARY_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// \sdm{table-definitions-of-secondary-processor-based-vm-execution-controls}
enum class SecondaryControl : std::uint8_t {
#define VTX_SECONDARY_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// Tertiary processor-based VM-execution controls, newer than the pinned edition of the SDM.
enum class TertiaryControl : std::uint8_t {
#define VTX_TERTIARY_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// \sdm{table-definitions-of-vm-exit-controls}
enum class ExitControl : std::uint8_t {
#define VTX_EXIT_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// Secondary VM-exit controls, newer than the pinned edition of the SDM.
enum class SecondaryExitControl : std::uint8_t {
#define VTX_SECONDARY_EXIT_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// \sdm{table-definitions-of-vm-entry-controls}
enum class EntryControl : std::uint8_t {
#define VTX_ENTRY_CONTROL VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// \sdm{table-definitions-of-vm-function-controls}
enum class VmFunction : std::uint8_t {
#define VTX_VM_FUNCTION VTX_BIT_NUMBER
#include "vmx/controls.def"
};

/// Bits of IA32_VMX_EPT_VPID_CAP. Not controls, but reported beside them.
/// \sdm{vpid-and-ept-capabilities}
enum class EptVpidCapability : std::uint8_t {
#define VTX_EPT_VPID_CAPABILITY VTX_BIT_NUMBER
#include "vmx/controls.def"
};

#undef VTX_BIT_NUMBER

/// Control words of 32 bits: the capability MSR has an allowed-0 and an allowed-1 half.
template <class C>
concept NarrowControl = std::same_as<C, PinControl> || std::same_as<C, PrimaryControl> ||
    std::same_as<C, SecondaryControl> || std::same_as<C, ExitControl> ||
    std::same_as<C, EntryControl>;

/// Control words of 64 bits: the capability MSR says only what may be 1; nothing must be 1.
template <class C>
concept WideControl = std::same_as<C, TertiaryControl> || std::same_as<C, SecondaryExitControl> ||
    std::same_as<C, VmFunction> || std::same_as<C, EptVpidCapability>;

/// Every enumeration of bits in this file.
template <class C>
concept Control = NarrowControl<C> || WideControl<C>;

/// The unsigned type of a control word: 32 or 64 bits.
template <Control C>
using control_word_t = std::conditional_t<NarrowControl<C>, std::uint32_t, std::uint64_t>;

/// The word in which only the bit of `control` is 1.
template <Control C> constexpr control_word_t<C> control_bit(C control) {
    return static_cast<control_word_t<C>>(control_word_t<C>{1} << static_cast<unsigned>(control));
}

/// A control word as a set of controls of one kind. Reserved bits can be in it as well, because
/// some of them must be 1.
template <Control C> struct ControlSet {
    /// The word as the VMCS has it.
    control_word_t<C> bits{};

    constexpr ControlSet() = default;

    /// From controls: `ControlSet{PinControl::nmi_exiting, PinControl::virtual_nmis}`.
    template <std::same_as<C>... More>
    constexpr ControlSet(C first, More... more)
        : bits{static_cast<control_word_t<C>>((control_bit(first) | ... | control_bit(more)))} {}

    /// From a word that was read out of a VMCS or an MSR.
    static constexpr ControlSet from_bits(control_word_t<C> word) {
        ControlSet set;
        set.bits = word;
        return set;
    }

    /// The set with one more control.
    constexpr ControlSet with(C control) const { return from_bits(bits | control_bit(control)); }

    /// The set without a control.
    constexpr ControlSet without(C control) const {
        return from_bits(bits & static_cast<control_word_t<C>>(~control_bit(control)));
    }

    /// True if the control is in the set.
    constexpr bool has(C control) const { return (bits & control_bit(control)) != 0; }

    /// True if no bit is 1.
    constexpr bool empty() const { return bits == 0; }

    /// Controls that are in either set.
    friend constexpr ControlSet operator|(ControlSet left, ControlSet right) {
        return from_bits(left.bits | right.bits);
    }

    /// Controls that are in both sets.
    friend constexpr ControlSet operator&(ControlSet left, ControlSet right) {
        return from_bits(left.bits & right.bits);
    }

    /// Controls that are in the left set and not in the right one.
    friend constexpr ControlSet operator-(ControlSet left, ControlSet right) {
        return from_bits(left.bits & static_cast<control_word_t<C>>(~right.bits));
    }

    friend constexpr bool operator==(const ControlSet &, const ControlSet &) = default;
};

template <Control C, std::same_as<C>... More> ControlSet(C, More...) -> ControlSet<C>;

/// The words, in the order of the table.
enum class ControlWord : std::uint8_t {
    pin,
    primary,
    secondary,
    tertiary,
    exit,
    secondary_exit,
    entry,
    vm_function,
    ept_vpid_capability,
};

/// The SDM's names of the words, by ControlWord. "VM-exit controls" are "primary VM-exit controls"
/// in editions that know secondary ones.
inline constexpr const char *control_word_names[] = {
    "Pin-based VM-execution controls",
    "Primary processor-based VM-execution controls",
    "Secondary processor-based VM-execution controls",
    "Tertiary processor-based VM-execution controls",
    "VM-exit controls",
    "Secondary VM-exit controls",
    "VM-entry controls",
    "VM-function controls",
    "VPID and EPT capabilities",
};

/// The SDM's name of a word.
constexpr const char *control_word_name(ControlWord word) {
    return control_word_names[static_cast<unsigned>(word)];
}

/// A row of the table of all controls.
struct ControlInfo {
    ControlWord word;       ///< The word it belongs to.
    std::uint8_t bit;       ///< Its number in the word.
    const char *name;       ///< The SDM's name, "Use MSR bitmaps".
    const char *identifier; ///< The enumerator here, "use_msr_bitmaps".
};

/// All controls: word by word, and in a word lowest bit first.
inline constexpr ControlInfo all_controls[] = {
#define VTX_CONTROL(word, name, bit, linux_name, sdm_name)                                         \
    {ControlWord::word, bit, sdm_name, #name},
#include "vmx/controls.def"
};

/// The row of a bit; null for a reserved bit.
constexpr const ControlInfo *find_control(ControlWord word, unsigned bit) {
    for (const ControlInfo &row : all_controls) {
        if (row.word == word && row.bit == bit) {
            return &row;
        }
    }
    return nullptr;
}

/// @{
/// The word to which a control belongs. Which control does not matter: `word_of(C{})` will do.
constexpr ControlWord word_of(PinControl) { return ControlWord::pin; }
constexpr ControlWord word_of(PrimaryControl) { return ControlWord::primary; }
constexpr ControlWord word_of(SecondaryControl) { return ControlWord::secondary; }
constexpr ControlWord word_of(TertiaryControl) { return ControlWord::tertiary; }
constexpr ControlWord word_of(ExitControl) { return ControlWord::exit; }
constexpr ControlWord word_of(SecondaryExitControl) { return ControlWord::secondary_exit; }
constexpr ControlWord word_of(EntryControl) { return ControlWord::entry; }
constexpr ControlWord word_of(VmFunction) { return ControlWord::vm_function; }
constexpr ControlWord word_of(EptVpidCapability) { return ControlWord::ept_vpid_capability; }
/// @}

/// The SDM's name of a control, or "(reserved control)". Never null.
template <Control C> constexpr const char *control_name(C control) {
    const ControlInfo *const row = find_control(word_of(control), static_cast<unsigned>(control));
    return row != nullptr ? row->name : "(reserved control)";
}

/// @{
/// The VMCS field that holds the word of a control. Capabilities are in an MSR, not in a VMCS.
constexpr Field32 control_field(PinControl) { return Field32::pin_based_controls; }
constexpr Field32 control_field(PrimaryControl) { return Field32::primary_controls; }
constexpr Field32 control_field(SecondaryControl) { return Field32::secondary_controls; }
constexpr Field64 control_field(TertiaryControl) { return Field64::tertiary_controls; }
constexpr Field32 control_field(ExitControl) { return Field32::exit_controls; }
constexpr Field64 control_field(SecondaryExitControl) { return Field64::secondary_exit_controls; }
constexpr Field32 control_field(EntryControl) { return Field32::entry_controls; }
constexpr Field64 control_field(VmFunction) { return Field64::vm_function_controls; }
/// @}

} // namespace vtx
