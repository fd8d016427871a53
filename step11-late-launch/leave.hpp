// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Out of VMX operation, and on where the guest stopped.
#pragma once

#include <cstdint>

#include "host_repair.hpp"
#include "processor.hpp"
#include "vmx/instructions.hpp"
#include "x86/control_registers.hpp"
#include "x86/descriptor_tables.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The guest's state as the VMCS has it: what the processor must hold after VMXOFF.
struct GuestState {
    HostState segments; ///< And descriptor tables, and the MSRs of SYSENTER.
    std::uint64_t cr0, cr3, cr4, dr7, debugctl;

    static GuestState read(CurrentVmcs &vmcs) {
        GuestState guest{};
        HostState &segments = guest.segments;
        segments.es = Selector{vmcs.read(Field16::guest_es_selector)};
        segments.cs = Selector{vmcs.read(Field16::guest_cs_selector)};
        segments.ss = Selector{vmcs.read(Field16::guest_ss_selector)};
        segments.ds = Selector{vmcs.read(Field16::guest_ds_selector)};
        segments.fs = Selector{vmcs.read(Field16::guest_fs_selector)};
        segments.gs = Selector{vmcs.read(Field16::guest_gs_selector)};
        segments.tr = Selector{vmcs.read(Field16::guest_tr_selector)};
        segments.ldtr = Selector{vmcs.read(Field16::guest_ldtr_selector)};
        segments.gdtr = {
            static_cast<std::uint16_t>(vmcs.read(Field32::guest_gdtr_limit)),
            vmcs.read(FieldNatural::guest_gdtr_base)};
        segments.idtr = {
            static_cast<std::uint16_t>(vmcs.read(Field32::guest_idtr_limit)),
            vmcs.read(FieldNatural::guest_idtr_base)};
        segments.fs_base = vmcs.read(FieldNatural::guest_fs_base);
        segments.gs_base = vmcs.read(FieldNatural::guest_gs_base);
        segments.sysenter_cs = vmcs.read(Field32::guest_sysenter_cs);
        segments.sysenter_esp = vmcs.read(FieldNatural::guest_sysenter_esp);
        segments.sysenter_eip = vmcs.read(FieldNatural::guest_sysenter_eip);
        guest.cr0 = vmcs.read(FieldNatural::guest_cr0);
        guest.cr3 = vmcs.read(FieldNatural::guest_cr3);
        guest.cr4 = vmcs.read(FieldNatural::guest_cr4) & ~Cr4::vmxe;
        guest.dr7 = vmcs.read(FieldNatural::guest_dr7);
        guest.debugctl = vmcs.read(Field64::guest_debugctl);
        return guest;
    }
};

// [leave]
/// Leaves VMX operation, on the way back from a VM exit. When it returns, the processor holds
/// everything that the guest had, except what late_exit loads after it: the base of GS, the general
/// registers, and what IRETQ takes. \sdm{vmxoff-leave-vmx-operation}
inline void leave(Processor &processor, RootFrame &frame) {
    CurrentVmcs &vmcs = *processor.vmcs;
    GuestState guest = GuestState::read(vmcs);

    frame.rip = vmcs.read(FieldNatural::guest_rip);
    frame.cs = guest.segments.cs.value;
    frame.rflags = vmcs.read(FieldNatural::guest_rflags);
    frame.rsp = vmcs.read(FieldNatural::guest_rsp);
    frame.ss = guest.segments.ss.value;
    frame.gs_base = guest.segments.gs_base;
    // A program's page tables may lack the kernel, and with it this code. Then we load the kernel's
    // tables for this program. With them it could not execute, but it does not have to: the
    // interrupt that vtx_call_soon() asks for below comes first, and Linux returns from that with
    // the right ones.
    if (processor.shared->isolated && guest.segments.cs.rpl() == 3)
        guest.cr3 &= ~(std::uint64_t{3} << 11);

    processor.vmcs.reset();      // VMCLEAR
    processor.operation.reset(); // VMXOFF, and the CR4 of the launch

    // Clearing PGE drops all translations. Those from before the launch, which have no VPID, are
    // out of date. \sdm{operations-that-invalidate-cached-mappings}
    write_cr4(guest.cr4 & ~Cr4::pge);
    write_cr4(guest.cr4);
    write_cr0(guest.cr0);
    write_cr3(guest.cr3);
    write_msr(Msr::sysenter_cs, guest.segments.sysenter_cs);
    write_msr(Msr::sysenter_esp, guest.segments.sysenter_esp);
    write_msr(Msr::sysenter_eip, guest.segments.sysenter_eip);
    // It begins with Linux's IDT. From there on NMIs go to Linux: its page tables are loaded, and
    // GS's base is the kernel's.
    { const HostRepair repair(guest.segments); }
    write_dr<7>(guest.dr7);
    write_msr(Msr::debugctl, guest.debugctl);
    write_msr(Msr::fs_base, guest.segments.fs_base);

    if ((frame.pending & PENDING_NMI) != 0)
        asm volatile("int $2" ::: "memory");
    if ((frame.pending & PENDING_MACHINE_CHECK) != 0 && (guest.cr4 & Cr4::mce) != 0)
        asm volatile("int $18" ::: "memory");
    if (processor.to_tell)
        vtx_call_soon(processor.shared->tell);
}
// [leave]

/// What a triple fault does to a processor that is no guest: shutdown, and the machine resets.
[[noreturn, gnu::always_inline]] inline void reset_machine() {
    (void)vmxoff();
    lidt({0, 0});
    for (;;)
        asm volatile("ud2");
}

} // namespace vtx
