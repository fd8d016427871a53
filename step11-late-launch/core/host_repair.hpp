// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a VM exit takes from the host and does not give back.
#pragma once

#include <cstdint>

#include "host_state.hpp"
#include "x86/control_registers.hpp"
#include "x86/descriptor_tables.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// Remembers, before a guest runs, what the VMCS has no room for, and puts it back afterwards.
///
/// A VM exit loads the registers that the host-state area names. It gives others a fixed value
/// (the limits of GDTR, IDTR and TR, LDTR, DR7, IA32_DEBUGCTL), and leaves the rest as the guest
/// had them (CR2, IA32_KERNEL_GS_BASE, which SWAPGS changes without a VM exit). Linux notices most
/// of these late and far away: a wrong TR limit when some program next uses an I/O port.
/// Lives with interrupts off, around VMX operation. \sdm{loading-host-state}
class HostRepair {
public:
    explicit HostRepair(const HostState &host)
        : host_(host), cr2_(read_cr2()), dr7_(read_dr<7>()), debugctl_(read_msr(Msr::debugctl)),
          kernel_gs_base_(read_msr(Msr::kernel_gs_base)) {}

    ~HostRepair() {
        lidt(host_.idtr);
        repair_task_register();
        if (!host_.ldtr.is_null())
            lldt(host_.ldtr);
        write_msr(Msr::kernel_gs_base, kernel_gs_base_); // SWAPGS makes it GS's base for a moment,
        repair_segments();
        write_msr(Msr::kernel_gs_base, kernel_gs_base_); // and loading GS has changed it
        write_cr2(cr2_);
        if (dr7_ != dr7_after_exit)
            write_dr<7>(dr7_);
        if (debugctl_ != 0)
            write_msr(Msr::debugctl, debugctl_);
    }

    HostRepair(const HostRepair &) = delete;
    HostRepair &operator=(const HostRepair &) = delete;

private:
    static constexpr std::uint64_t dr7_after_exit = 0x400;

    /// Gives TR and GDTR their limits back.
    ///
    /// Only LTR sets TR's limit, and LTR wants a descriptor that is not busy, in a table that it
    /// can write the busy bit to. Linux keeps its GDT mapped read-only. So TR is loaded from a
    /// copy of the GDT, which GDTR names for these two instructions only. It is a full copy,
    /// because an NMI between them uses other entries.
    void repair_task_register() {
        static constexpr std::uint64_t busy = std::uint64_t{2} << 40;
        std::uint64_t copy[32];
        const std::uint16_t limit =
            host_.gdtr.limit < sizeof copy ? host_.gdtr.limit : std::uint16_t{sizeof copy - 1};

        __builtin_memcpy(copy, reinterpret_cast<const void *>(host_.gdtr.base), limit + 1u);
        copy[host_.tr.index()] &= ~busy;
        lgdt({limit, reinterpret_cast<std::uint64_t>(copy)});
        ltr(host_.tr);
        lgdt(host_.gdtr);
    }

    /// Loads the data segments that held a selector: user space may have put one there. The VM
    /// exit made them null, with the bases of FS and GS from the VMCS.
    void repair_segments() {
        if (host_.ds.value != 0)
            load_ds(host_.ds);
        if (host_.es.value != 0)
            load_es(host_.es);
        if (host_.fs.value != 0) {
            load_fs(host_.fs);                      // takes the base from the descriptor,
            write_msr(Msr::fs_base, host_.fs_base); // so the base is written again
        }
        // In the kernel, GS's base is the address of all per-processor data. Loading a selector
        // would overwrite it, so SWAPGS puts it aside. An NMI meanwhile finds the base of the
        // host's program there, as in Linux's own code, and not the guest's.
        if (host_.gs.value != 0)
            asm volatile("swapgs; movw %[selector], %%gs; swapgs"
                         :
                         : [selector] "r"(host_.gs.value)
                         : "memory");
    }

    const HostState &host_;
    std::uint64_t cr2_;
    std::uint64_t dr7_;
    std::uint64_t debugctl_;
    std::uint64_t kernel_gs_base_;
};

} // namespace vtx
