// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The host-state area: where the processor finds itself again after a VM exit.
#pragma once

#include <cstdint>

#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "x86/control_registers.hpp"
#include "x86/descriptor_tables.hpp"
#include "x86/msr.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// The host's registers, as far as VM exits load them from the VMCS, read on the logical
/// processor and in the task that is about to run a guest. They are read anew each time: the
/// next run may be on another processor (GDTR, TR, GS base) or find another value (FS base, CR3).
struct HostState {
    Selector es, cs, ss, ds, fs, gs, tr, ldtr;
    DescriptorTableRegister gdtr, idtr;
    std::uint64_t fs_base, gs_base, tr_base;
    std::uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    std::uint64_t efer;

    /// Reads them. Interrupts are off.
    static HostState capture() {
        HostState host{};
        host.es = read_es();
        host.cs = read_cs();
        host.ss = read_ss();
        host.ds = read_ds();
        host.fs = read_fs();
        host.gs = read_gs();
        host.tr = str();
        host.ldtr = sldt();
        host.gdtr = sgdt();
        host.idtr = sidt();
        host.fs_base = read_msr(Msr::fs_base);
        host.gs_base = read_msr(Msr::gs_base);
        host.sysenter_cs = read_msr(Msr::sysenter_cs);
        host.sysenter_esp = read_msr(Msr::sysenter_esp);
        host.sysenter_eip = read_msr(Msr::sysenter_eip);
        host.efer = read_msr(Msr::efer);

        // No instruction reads the base of TR. It is in the TSS's descriptor, of 16 bytes.
        const auto *const gdt = reinterpret_cast<const std::uint64_t *>(host.gdtr.base);
        host.tr_base =
            decode_system_descriptor(host.tr, gdt[host.tr.index()], gdt[host.tr.index() + 1]).base;
        return host;
    }

    /// Writes the host-state area except RSP and RIP, which belong to the code that enters a guest.
    /// In VMX operation: the CR4 that a VM exit loads must have VMXE set.
    /// \sdm{host-state-area} \sdm{checks-on-host-segment-and-descriptor-table-registers}
    void write_to(CurrentVmcs &vmcs, const VmcsControls &controls) const {
        vmcs.write_checked(FieldNatural::host_cr0, read_cr0());
        vmcs.write_checked(FieldNatural::host_cr3, read_cr3());
        vmcs.write_checked(FieldNatural::host_cr4, read_cr4());

        // [exercise 03-4]
        // Privilege bits in these selectors are not allowed. ES, DS, FS and GS may hold a user
        // program's selectors, which have them: the VM exit makes them null instead.
        vmcs.write_checked(Field16::host_cs_selector, cs.value);
        vmcs.write_checked(Field16::host_ss_selector, ss.value);
        vmcs.write_checked(Field16::host_ds_selector, std::uint16_t{0});
        vmcs.write_checked(Field16::host_es_selector, std::uint16_t{0});
        vmcs.write_checked(Field16::host_fs_selector, std::uint16_t{0});
        vmcs.write_checked(Field16::host_gs_selector, std::uint16_t{0});
        vmcs.write_checked(Field16::host_tr_selector, tr.value);
        // [exercise 03-4]

        vmcs.write_checked(FieldNatural::host_fs_base, fs_base);
        vmcs.write_checked(FieldNatural::host_gs_base, gs_base);
        vmcs.write_checked(FieldNatural::host_tr_base, tr_base);
        vmcs.write_checked(FieldNatural::host_gdtr_base, gdtr.base);
        vmcs.write_checked(FieldNatural::host_idtr_base, idtr.base);

        vmcs.write_checked(Field32::host_sysenter_cs, static_cast<std::uint32_t>(sysenter_cs));
        vmcs.write_checked(FieldNatural::host_sysenter_esp, sysenter_esp);
        vmcs.write_checked(FieldNatural::host_sysenter_eip, sysenter_eip);
        if (controls.has_efer())
            vmcs.write_checked(Field64::host_efer, efer);
    }
};

} // namespace vtx
