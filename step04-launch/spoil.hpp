// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VM entries that fail on purpose: one for each way in which an entry can fail.
#pragma once

#include <cstdint>

#include "page.hpp"
#include "step.h"
#include "vmcs.hpp"
#include "vmx/controls.hpp"
#include "vmx/failure.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// One kind of mistake in a VMCS, and how the VM entry must then fail.
struct Spoil {
    const char *mistake;         ///< What is wrong, for the log.
    std::uint32_t error;         ///< VMfailValid with this number, or 0 if the failure comes later:
    std::uint32_t exit_reason;   ///< then a VM exit with this reason, bit 31 set,
    std::uint64_t qualification; ///< and this exit qualification.

    /// True if the entry failed in just that way.
    bool matches(const Failure &failure) const {
        const Result &result = failure.result;
        if (error != 0)
            return result.status == Status::fail_valid && result.error == error;
        return failure.exit_reason() == exit_reason && failure.second_value == qualification;
    }
};

/// What each value of the parameter `spoil` stands for, in the order of spoil_kind.
/// \sdm{vm-instruction-error-numbers} \sdm{vm-entry-failures-during-or-after-loading-guest-state}
inline constexpr Spoil spoils[] = {
    {"nothing", 0, 0, 0},
    {"control: \"virtual NMIs\" without \"NMI exiting\"", 7, 0, 0},
    {"host state: the selector of TR is 0", 8, 0, 0},
    {"guest state: bit 1 of RFLAGS is 0", 0, 0x80000021, 0},
    {"MSR load: the first entry of the list is IA32_FS_BASE", 0, 0x80000022, 1},
};

/// Makes the mistake. `page` is a zeroed page for the list of MSRs to load.
inline void make_mistake(CurrentVmcs &vmcs, spoil_kind kind, const Page &page) {
    switch (kind) {
    case SPOIL_NONE:
        break;
    case SPOIL_CONTROL: {
        const auto pin = ControlSet<PinControl>::from_bits(vmcs.read(Field32::pin_based_controls));
        vmcs.write(
            Field32::pin_based_controls,
            pin.without(PinControl::nmi_exiting).with(PinControl::virtual_nmis).bits);
        break;
    }
    case SPOIL_HOST:
        vmcs.write(Field16::host_tr_selector, std::uint16_t{0});
        break;
    case SPOIL_GUEST:
        vmcs.write(FieldNatural::guest_rflags, std::uint64_t{0});
        break;
    case SPOIL_MSR:
        // An entry is 16 bytes: the MSR's number, 32 reserved bits, the value.
        page.entries()[0] = static_cast<std::uint64_t>(Msr::fs_base);
        vmcs.write(Field64::entry_msr_load_address, page.physical().value);
        vmcs.write(Field32::entry_msr_load_count, std::uint32_t{1});
        break;
    }
}

} // namespace vtx
