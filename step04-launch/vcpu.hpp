// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A virtual CPU: the processor that a guest believes it runs on.
#pragma once

#include <cstdint>

#include "guest_registers.h"
#include "kernel.h"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/require_capabilities.hpp"
#include "vmx_operation.hpp"
#include "x86/control_registers.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The VMCS with its controls, and the registers that no VMCS holds. An event that waits for the
/// next VM entry is in the VMCS. Outlives the scopes in which the guest runs, and neither prints
/// nor knows Linux once it is prepared.
struct Vcpu {
    VmxCapabilities vmx{};   ///< What the processors can do, and
    VmcsControls controls{}; ///< what we make of it.
    VmxonRegion vmxon{};     ///< For VMXON, in each scope.
    VmcsRegion vmcs{};       ///< Most of the guest's registers are in here.

    GuestRegisters registers{};       ///< Those that vm_enter() loads and stores.
    std::uint64_t cr2 = 0;            ///< Two that no VM entry and no exit switches:
    std::uint64_t kernel_gs_base = 0; ///< they are switched once a scope.

    /// Reads what this processor can do, chooses the controls, takes the memory. Returns 0, or a
    /// negative errno after a sentence in the log.
    int prepare() {
        if (const int error = require_capabilities(vmx))
            return error;
        // Linux gets an NMI by INT 2, which FRED would deliver as something else.
        if ((read_cr4() & Cr4::fred) != 0) {
            vtx_log_error(
                "this kernel uses FRED, which this step does not know: boot with fred=off");
            return -VTX_EOPNOTSUPP;
        }
        if (const int error = choose_controls(vmx, controls))
            return error;
        if (!vmxon.allocate(vmx) || !vmcs.allocate(vmx)) {
            vtx_log_error("no memory for the VMXON region and the VMCS");
            return -VTX_ENOMEM;
        }
        return 0;
    }

    /// Gives the processor the registers that a VM entry does not load. HostRepair keeps the
    /// host's.
    void load_registers() const {
        write_cr2(cr2);
        write_msr(Msr::kernel_gs_base, kernel_gs_base);
    }

    /// Keeps the registers that a VM exit does not save: the guest may have changed them.
    void save_registers() {
        cr2 = read_cr2();
        kernel_gs_base = read_msr(Msr::kernel_gs_base);
    }
};

} // namespace vtx
