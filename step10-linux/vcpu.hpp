// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A virtual CPU: the processor that a guest believes it runs on.
#pragma once

#include <cstdint>

#include "bitmaps.hpp"
#include "events.hpp"
#include "guest_fpu.hpp"
#include "guest_msrs.hpp"
#include "guest_registers.h"
#include "kernel.h"
#include "msr_rules.hpp"
#include "speculation.hpp"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/require_capabilities.hpp"
#include "vmx_operation.hpp"
#include "x86/control_registers.hpp"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The VMCS with its controls, the registers that no VMCS holds, and events that wait. Outlives the
/// scopes in which the guest runs, and neither prints nor knows Linux once it is prepared.
struct Vcpu {
    VmxCapabilities vmx{};   ///< What the processors can do, and
    VmcsControls controls{}; ///< what we make of it.
    VmxonRegion vmxon{};     ///< For VMXON, in each scope.
    VmcsRegion vmcs{};       ///< Most of the guest's registers are in here.

    Bitmaps bitmaps{};             ///< Which MSRs and ports exit.
    std::uint64_t ept_pointer = 0; ///< What EPT this CPU runs on. Set before the first scope.
    Speculation speculation{};

    EventQueue events{};
    bool halted = false;     ///< HLT: it runs on with the next event.
    std::uint64_t slice = 0; ///< How long the next scope may let it run, as TSC.

    GuestRegisters registers{};       ///< Those that vm_enter() loads and stores.
    GuestFpu fpu{};                   ///< Those that are switched once a scope, by objects,
    GuestMsrs msrs{};                 ///< and likewise.
    std::uint64_t cr2 = 0;            ///< Two that no VM entry and no exit switches:
    std::uint64_t kernel_gs_base = 0; ///< they are switched once a scope, too.

    /// Registers that the guest has only in our model of them, as after a reset.
    std::uint64_t pat = 0x0007040600070406, cr8 = 0, breakpoints[4]{}, dr6 = 0xffff0ff0,
                  dr7 = 0x400;

    std::uint64_t fast_strings_bit = 0; ///< Of IA32_MISC_ENABLE, as this processor has it.

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
        if (!vmxon.allocate(vmx) || !vmcs.allocate(vmx) || !bitmaps.allocate() || !fpu.allocate()) {
            vtx_log_error("no memory for the VMCS and the pages that belong to it");
            return -VTX_ENOMEM;
        }
        speculation.detect();
        fast_strings_bit = read_msr_safe(Msr::misc_enable).value_or(0) & fast_strings;
        msrs.has_tsc_aux = controls.secondary.has(SecondaryControl::enable_rdtscp) && has_rdtscp();
        for (const MsrRow &row : msr_rows)
            if (row.rule == MsrRule::own || (row.rule == MsrRule::own_if_tscp && msrs.has_tsc_aux))
                bitmaps.let_through(row.msr);
        return 0;
    }

    /// Writes the control fields and what they point to.
    void write_controls_to(CurrentVmcs &current) const {
        write_controls(current, controls);
        current.write_checked(Field64::msr_bitmap, bitmaps.msrs().value);
        current.write_checked(Field64::io_bitmap_a, bitmaps.ports_low().value);
        current.write_checked(Field64::io_bitmap_b, bitmaps.ports_high().value);
        current.write_checked(Field64::ept_pointer, ept_pointer);
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
