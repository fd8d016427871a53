// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the processor remembers of the guest's address translations.
#pragma once

#include <cstdint>

#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/failure.hpp"
#include "vmx/instructions.hpp"

namespace vtx {

/// Forgets what the processor remembers of translations through EPT and of our VPID. In VMX
/// operation, at the beginning of each scope. Such entries outlive VMXOFF. Until the next scope the
/// guest may have moved to another processor and back, and another hypervisor may have used the
/// same VPID, or a page of freed tables. \sdm{guidelines-for-use-of-the-invept-instruction}
/// \sdm{guidelines-for-use-of-the-invvpid-instruction}
inline void forget_translations(
    const VmxCapabilities &vmx, const VmcsControls &controls, std::uint64_t ept_pointer,
    Failure &failure) {
    static constexpr std::uint64_t single_context = 1, all_contexts = 2;

    const Result ept = invept(
        vmx.supports(EptVpidCapability::invept_single_context) ? single_context : all_contexts,
        ept_pointer);
    if (!ept.ok())
        failure.note(Failure::instruction(ept));
    if (!controls.has_vpid())
        return; // each VM entry and exit forgets what has no VPID
    const Result vpid = invvpid(
        vmx.supports(EptVpidCapability::invvpid_single_context) ? single_context : all_contexts,
        guest_vpid);
    if (!vpid.ok())
        failure.note(Failure::instruction(vpid));
}

} // namespace vtx
