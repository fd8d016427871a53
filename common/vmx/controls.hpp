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

/// A control word as a set of controls of one kind. Reserved bits can be in it as well, for some
/// of them must be 1.
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

/// A row of the table of a control word.
template <Control C> struct ControlInfo {
    C control;              ///< The bit.
    const char *name;       ///< The SDM's name, "Use MSR bitmaps".
    const char *identifier; ///< The enumerator here, "use_msr_bitmaps".
};

/// What there is to know of a control word, by its enumeration: `name`, the SDM's name of the word,
/// and `rows`, an array of ControlInfo, lowest bit first, to be walked with a range-for.
template <Control C> struct ControlTable;

#define VTX_CONTROL_ROW(name, bit, linux_name, sdm_name) {Type::name, sdm_name, #name},

// clang-format off
/// Pin-based VM-execution controls.
template <> struct ControlTable<PinControl> {
    using Type = PinControl;                                               ///< The bits.
    static constexpr const char *name = "Pin-based VM-execution controls"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {                          ///< Lowest bit first.
#define VTX_PIN_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// Primary processor-based VM-execution controls.
template <> struct ControlTable<PrimaryControl> {
    using Type = PrimaryControl;                  ///< The bits.
    /// The SDM's name.
    static constexpr const char *name = "Primary processor-based VM-execution controls";
    static constexpr ControlInfo<Type> rows[] = { ///< Lowest bit first.
#define VTX_PRIMARY_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// Secondary processor-based VM-execution controls.
template <> struct ControlTable<SecondaryControl> {
    using Type = SecondaryControl;                ///< The bits.
    /// The SDM's name.
    static constexpr const char *name = "Secondary processor-based VM-execution controls";
    static constexpr ControlInfo<Type> rows[] = { ///< Lowest bit first.
#define VTX_SECONDARY_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// Tertiary processor-based VM-execution controls.
template <> struct ControlTable<TertiaryControl> {
    using Type = TertiaryControl;                 ///< The bits.
    /// The SDM's name.
    static constexpr const char *name = "Tertiary processor-based VM-execution controls";
    static constexpr ControlInfo<Type> rows[] = { ///< Lowest bit first.
#define VTX_TERTIARY_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// VM-exit controls; "primary VM-exit controls" in editions that know secondary ones.
template <> struct ControlTable<ExitControl> {
    using Type = ExitControl;                               ///< The bits.
    static constexpr const char *name = "VM-exit controls"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {           ///< Lowest bit first.
#define VTX_EXIT_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// Secondary VM-exit controls.
template <> struct ControlTable<SecondaryExitControl> {
    using Type = SecondaryExitControl;                                ///< The bits.
    static constexpr const char *name = "Secondary VM-exit controls"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {                     ///< Lowest bit first.
#define VTX_SECONDARY_EXIT_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// VM-entry controls.
template <> struct ControlTable<EntryControl> {
    using Type = EntryControl;                               ///< The bits.
    static constexpr const char *name = "VM-entry controls"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {            ///< Lowest bit first.
#define VTX_ENTRY_CONTROL VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// VM-function controls.
template <> struct ControlTable<VmFunction> {
    using Type = VmFunction;                                    ///< The bits.
    static constexpr const char *name = "VM-function controls"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {               ///< Lowest bit first.
#define VTX_VM_FUNCTION VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

/// VPID and EPT capabilities.
template <> struct ControlTable<EptVpidCapability> {
    using Type = EptVpidCapability;                                  ///< The bits.
    static constexpr const char *name = "VPID and EPT capabilities"; ///< The SDM's name.
    static constexpr ControlInfo<Type> rows[] = {                    ///< Lowest bit first.
#define VTX_EPT_VPID_CAPABILITY VTX_CONTROL_ROW
#include "vmx/controls.def"
    };
};

// clang-format on

#undef VTX_CONTROL_ROW

/// The SDM's name of a control, or "(reserved control)". Never null.
template <Control C> constexpr const char *control_name(C control) {
    for (const ControlInfo<C> &row : ControlTable<C>::rows) {
        if (row.control == control) {
            return row.name;
        }
    }
    return "(reserved control)";
}

/// The VMCS field that holds a control word.
template <Control C> constexpr auto control_field() {
    if constexpr (std::same_as<C, PinControl>) {
        return Field32::pin_based_controls;
    } else if constexpr (std::same_as<C, PrimaryControl>) {
        return Field32::primary_controls;
    } else if constexpr (std::same_as<C, SecondaryControl>) {
        return Field32::secondary_controls;
    } else if constexpr (std::same_as<C, TertiaryControl>) {
        return Field64::tertiary_controls;
    } else if constexpr (std::same_as<C, ExitControl>) {
        return Field32::exit_controls;
    } else if constexpr (std::same_as<C, SecondaryExitControl>) {
        return Field64::secondary_exit_controls;
    } else if constexpr (std::same_as<C, EntryControl>) {
        return Field32::entry_controls;
    } else {
        static_assert(std::same_as<C, VmFunction>, "capabilities are in an MSR, not in a VMCS");
        return Field64::vm_function_controls;
    }
}

} // namespace vtx
