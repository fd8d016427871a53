// SPDX-License-Identifier: GPL-2.0-only
// long-file: one rule after the other, in the order of the SDM.
/// \file
/// Rules on the guest's state that is in no register (activity, interruptibility, pending debug
/// exceptions, the VMCS link pointer) and on its PDPTEs. Breaking one makes the VM entry fail with
/// exit reason 33.
/// \sdm{checks-on-guest-non-register-state}
/// \sdm{checks-on-guest-page-directory-pointer-table-entries}
#pragma once

#include "doctor/rules/examination.hpp"
#include "doctor/rules/exit_entry_controls.hpp"
#include "doctor/rules/guest_segments.hpp"
#include "vmx/interruption_information.hpp"

namespace vtx::entry_checks {

/// Values of the activity state. \sdm{guest-non-register-state}
struct Activity {
    static constexpr std::uint32_t active = 0;        ///< executing instructions
    static constexpr std::uint32_t halted = 1;        ///< after HLT
    static constexpr std::uint32_t shut_down = 2;     ///< after a triple fault
    static constexpr std::uint32_t wait_for_sipi = 3; ///< waiting for a startup IPI
};

/// Bits of the pending debug exceptions. \sdm{table-format-of-pending-debug-exceptions}
struct PendingDebug {
    static constexpr std::uint64_t enabled_breakpoint = 1u << 12; ///< one of bits 3:0 was enabled
    static constexpr std::uint64_t bus_lock = 1u << 11;           ///< newer than the pinned edition
    static constexpr std::uint64_t single_step = 1u << 14;        ///< BS
    static constexpr std::uint64_t transaction = 1u << 16;        ///< RTM
};

namespace state {

inline constexpr FailureClass bad = FailureClass::guest_state;
inline constexpr const char *other = "checks-on-guest-non-register-state";
inline constexpr const char *other_newer = "+checks-on-guest-non-register-state";
inline constexpr const char *pdptes = "checks-on-guest-page-directory-pointer-table-entries";

inline constexpr auto blocking = Field32::guest_interruptibility;
inline constexpr auto activity = Field32::guest_activity_state;
inline constexpr auto pending = FieldNatural::guest_pending_debug_exceptions;
inline constexpr auto event = Field32::entry_interruption_information;
inline constexpr auto link = Field64::vmcs_link_pointer;
inline constexpr auto rflags = FieldNatural::guest_rflags;

inline constexpr Field64 pdpte_fields[] = {
    Field64::guest_pdpte_0, Field64::guest_pdpte_1, Field64::guest_pdpte_2, Field64::guest_pdpte_3};

} // namespace state

/// True if the guest will use PAE paging.
constexpr bool pae_paging(Examination &x) {
    return (x.get(FieldNatural::guest_cr0) & Cr0::pg) != 0 &&
           (x.get(FieldNatural::guest_cr4) & Cr4::pae) != 0 && !x.ia32e_guest();
}

/// Reserved bits that are set in a PDPTE: only one that is present has any.
/// \sdm{checks-on-guest-page-directory-pointer-table-entries}
constexpr std::uint64_t bad_pdpte_bits(const ProcessorDescription &cpu, std::uint64_t entry) {
    const std::uint64_t reserved = 0x1e6 | cpu.bits_beyond_physical();
    return (entry & 1u) != 0 ? entry & reserved : 0;
}

/// The rules on the guest's non-register state and PDPTEs, in the order of the SDM.
inline constexpr Rule guest_other_state_rules[] = {
    rule<Field32::guest_activity_state>(
        "A01", state::bad,
        "the activity state must be 0 (active), or 1 (HLT), 2 (shutdown) or 3 (wait-for-SIPI) if "
        "IA32_VMX_MISC says so",
        state::other,
        [](Examination &x) {
            const std::uint32_t activity = x.get(state::activity);
            const VmxCapabilities &vmx = x.cpu.vmx;
            const bool good =
                activity == Activity::active ||
                (activity == Activity::halted && vmx.has_activity_hlt()) ||
                (activity == Activity::shut_down && vmx.has_activity_shutdown()) ||
                (activity == Activity::wait_for_sipi && vmx.has_activity_wait_for_sipi());
            if (!good) {
                x.fault(state::activity, activity);
            }
        }),

    rule<Field32::guest_activity_state, Field32::guest_ss_access_rights>(
        "A02", state::bad, "activity state HLT needs DPL 0 in SS", state::other,
        [](Examination &x) {
            if (x.get(state::activity) == Activity::halted && rights(x, segment::ss).dpl() != 0) {
                x.fault(state::activity, Activity::halted);
            }
        }),

    rule<Field32::guest_activity_state, Field32::guest_interruptibility>(
        "A03", state::bad,
        "while STI or MOV SS blocks interrupts, the activity state must be active", state::other,
        [](Examination &x) {
            if ((x.get(state::blocking) & (Blocking::sti | Blocking::mov_ss)) != 0 &&
                x.get(state::activity) != Activity::active) {
                x.fault(state::activity, x.get(state::activity));
            }
        }),

    rule<Field32::guest_activity_state, Field32::entry_interruption_information>(
        "A04", state::bad,
        "into activity state HLT only external interrupts, NMIs, #DB, #MC and pending MTF VM "
        "exits may be injected",
        state::other,
        [](Examination &x) {
            if (x.get(state::activity) != Activity::halted) {
                return;
            }
            const Injection event = injection(x);
            const bool good = !event.valid() || event.type() == Injection::external_interrupt ||
                              event.type() == Injection::nmi ||
                              (event.type() == Injection::hardware_exception &&
                               (event.vector() == 1 || event.vector() == 18)) ||
                              (event.type() == Injection::other_event && event.vector() == 0);
            if (!good) {
                x.fault(state::event, 0x7ff);
            }
        }),

    rule<Field32::guest_activity_state, Field32::entry_interruption_information>(
        "A05", state::bad, "into activity state shutdown only NMIs and #MC may be injected",
        state::other,
        [](Examination &x) {
            if (x.get(state::activity) != Activity::shut_down) {
                return;
            }
            const Injection event = injection(x);
            const bool good =
                !event.valid() || event.type() == Injection::nmi ||
                (event.type() == Injection::hardware_exception && event.vector() == 18);
            if (!good) {
                x.fault(state::event, 0x7ff);
            }
        }),

    rule<Field32::guest_activity_state, Field32::entry_interruption_information>(
        "A06", state::bad, "into activity state wait-for-SIPI nothing may be injected",
        state::other,
        [](Examination &x) {
            if (x.get(state::activity) == Activity::wait_for_sipi && injection(x).valid()) {
                x.fault(state::event, 1u << 31);
            }
        }),

    rule<Field32::guest_activity_state, Field32::entry_controls>(
        "A07", state::bad, "an entry to SMM must not be in activity state wait-for-SIPI",
        state::other,
        [](Examination &x) {
            if (x.get(state::activity) == Activity::wait_for_sipi &&
                x.has(EntryControl::entry_to_smm)) {
                x.fault(state::activity, Activity::wait_for_sipi);
            }
        }),

    rule<Field32::guest_interruptibility>(
        "I01", state::bad,
        "bits 31:5 of the interruptibility state must be 0 (and bit 4 on processors without SGX)",
        state::other,
        [](Examination &x) {
            x.zero(state::blocking, x.cpu.has(CpuFeature::enclaves) ? 0xffffffe0 : 0xfffffff0);
        }),

    rule<Field32::guest_interruptibility>(
        "I02", state::bad, "STI and MOV SS must not both block interrupts", state::other,
        [](Examination &x) {
            const std::uint32_t both = Blocking::sti | Blocking::mov_ss;
            if ((x.get(state::blocking) & both) == both) {
                x.fault(state::blocking, both);
            }
        }),

    rule<Field32::guest_interruptibility, FieldNatural::guest_rflags>(
        "I03", state::bad, "blocking by STI needs guest RFLAGS.IF", state::other,
        [](Examination &x) {
            if ((x.get(state::rflags) & Rflags::if_) == 0) {
                x.zero(state::blocking, Blocking::sti);
            }
        }),

    rule<Field32::guest_interruptibility, Field32::entry_interruption_information>(
        "I04", state::bad,
        "while STI or MOV SS blocks interrupts, no external interrupt may be injected",
        state::other,
        [](Examination &x) {
            if (injection(x).is(Injection::external_interrupt)) {
                x.zero(state::blocking, Blocking::sti | Blocking::mov_ss);
            }
        }),

    rule<Field32::guest_interruptibility, Field32::entry_interruption_information>(
        "I05a", state::bad, "while MOV SS blocks interrupts, no NMI may be injected", state::other,
        [](Examination &x) {
            if (injection(x).is(Injection::nmi)) {
                x.zero(state::blocking, Blocking::mov_ss);
            }
        }),

    rule<Field32::guest_interruptibility, Field32::entry_interruption_information>(
        "I05b", state::bad,
        "while STI blocks interrupts, some processors let no NMI be injected, and others do",
        state::other,
        [](Examination &x) {
            // Nothing tells which kind a processor is, so this can only be undecided. (The SDM's
            // edition of 2026 demands it of all.)
            if (injection(x).is(Injection::nmi) && (x.get(state::blocking) & Blocking::sti) != 0) {
                x.doubt(Undecided::processor);
            }
        },
        EntryFailure::nmi_injection),

    rule<Field32::guest_interruptibility, Field32::entry_controls>(
        "I06", state::bad, "blocking by SMI must be 0 outside SMM, and 1 with \"entry to SMM\"",
        state::other,
        [](Examination &x) {
            if (!x.now.in_smm) {
                x.zero(state::blocking, Blocking::smi);
            }
            x.next();
            if (x.has(EntryControl::entry_to_smm) &&
                (x.get(state::blocking) & Blocking::smi) == 0) {
                x.fault(state::blocking, Blocking::smi);
            }
        }),

    rule<
        Field32::guest_interruptibility, Field32::entry_interruption_information,
        Field32::pin_based_controls>(
        "I07", state::bad, "with \"virtual NMIs\", no NMI may be injected while NMIs are blocked",
        state::other,
        [](Examination &x) {
            if (x.has(PinControl::virtual_nmis) && injection(x).is(Injection::nmi)) {
                x.zero(state::blocking, Blocking::nmi);
            }
        }),

    rule<Field32::guest_interruptibility>(
        "I08", state::bad, "an interrupted enclave and blocking by MOV SS exclude each other",
        state::other,
        [](Examination &x) {
            if ((x.get(state::blocking) & Blocking::enclave) != 0) {
                x.zero(state::blocking, Blocking::mov_ss);
            }
        }),

    rule<Field32::guest_interruptibility, FieldNatural::guest_cr4, Field32::guest_ss_access_rights>(
        "I09", state::bad, "with guest CR4.FRED, blocking by STI must be 0 if DPL of SS is 3",
        state::other_newer,
        [](Examination &x) {
            if ((x.get(FieldNatural::guest_cr4) & Cr4::fred) != 0 &&
                rights(x, segment::ss).dpl() == 3) {
                x.zero(state::blocking, Blocking::sti);
            }
        }),

    rule<FieldNatural::guest_pending_debug_exceptions>(
        "P01", state::bad,
        "bits 11:4, 13, 15 and 63:17 of the pending debug exceptions must be 0 (bit 11 may be 1 "
        "where CPUID tells of bus-lock detection)",
        state::other,
        [](Examination &x) {
            const std::uint64_t bus_lock =
                x.cpu.has(CpuFeature::bus_lock_trap) ? PendingDebug::bus_lock : 0;
            x.zero(state::pending, 0xfffffffffffeaff0 & ~bus_lock);
        }),

    rule<
        FieldNatural::guest_pending_debug_exceptions, Field32::guest_interruptibility,
        Field32::guest_activity_state, FieldNatural::guest_rflags, Field64::guest_debugctl>(
        "P02", state::bad,
        "while STI or MOV SS blocks interrupts, or in activity state HLT, BS (bit 14) of the "
        "pending debug exceptions must be 1 exactly if RFLAGS.TF is 1 and IA32_DEBUGCTL.BTF 0",
        state::other,
        [](Examination &x) {
            if ((x.get(state::blocking) & (Blocking::sti | Blocking::mov_ss)) == 0 &&
                x.get(state::activity) != Activity::halted) {
                return;
            }
            const bool steps = (x.get(state::rflags) & Rflags::tf) != 0 &&
                               (x.get(Field64::guest_debugctl) & 2u) == 0;
            if (((x.get(state::pending) & PendingDebug::single_step) != 0) != steps) {
                x.fault(state::pending, PendingDebug::single_step);
            }
        }),

    rule<FieldNatural::guest_pending_debug_exceptions, Field32::guest_interruptibility>(
        "P03", state::bad,
        "RTM (bit 16) of the pending debug exceptions needs a processor with RTM, bit 12 set, no "
        "other bit, and no blocking by MOV SS",
        state::other,
        [](Examination &x) {
            const std::uint64_t pending = x.get(state::pending);
            if ((pending & PendingDebug::transaction) == 0) {
                return;
            }
            std::uint64_t bits = (pending & 0xefff) | (~pending & PendingDebug::enabled_breakpoint);
            if (!x.cpu.has(CpuFeature::restricted_tsx)) {
                bits |= PendingDebug::transaction;
            }
            if (bits != 0) {
                x.fault(state::pending, bits);
            }
            x.next();
            x.zero(state::blocking, Blocking::mov_ss);
        }),

    rule<Field64::vmcs_link_pointer>(
        "L01", state::bad,
        "the VMCS link pointer must be all ones, or page-aligned and within the address width",
        state::other,
        [](Examination &x) {
            if (x.get(state::link) != no_vmcs_link) {
                x.page(state::link);
            }
        },
        EntryFailure::vmcs_link_pointer),

    rule<Field64::vmcs_link_pointer, Field32::primary_controls, Field32::secondary_controls>(
        "L02", state::bad,
        "the VMCS to which the link pointer points must have this processor's revision identifier, "
        "and "
        "bit 31 set exactly with \"VMCS shadowing\"",
        state::other,
        [](Examination &x) {
            const std::uint64_t link = x.get(state::link);
            if (link == no_vmcs_link || (link & (page_size - 1)) != 0 ||
                (link & x.cpu.bits_beyond_address_width()) != 0) {
                return; // nothing to look at, or L01 is broken
            }
            const std::uint64_t wanted =
                x.cpu.vmx.revision() |
                (x.has(SecondaryControl::vmcs_shadowing) ? std::uint64_t{1} << 31 : 0);
            if ((x.memory(link) & 0xffffffff) != wanted) {
                x.fault(state::link, link);
            }
        },
        EntryFailure::vmcs_link_pointer),

    rule<Field64::vmcs_link_pointer>(
        "L03", state::bad, "the VMCS link pointer must not point to the current VMCS", state::other,
        [](Examination &x) {
            const std::uint64_t link = x.get(state::link);
            if (link == no_vmcs_link) {
                return;
            }
            if (!x.now.current_vmcs.has_value()) {
                x.doubt(Undecided::processor);
            } else if (link == *x.now.current_vmcs) {
                x.fault(state::link, link);
            }
        },
        EntryFailure::vmcs_link_pointer),

    rule<
        FieldNatural::guest_cr0, FieldNatural::guest_cr4, Field32::entry_controls,
        Field32::primary_controls, Field32::secondary_controls, Field64::guest_pdpte_0,
        Field64::guest_pdpte_1, Field64::guest_pdpte_2, Field64::guest_pdpte_3>(
        "T01a", state::bad,
        "with PAE paging and EPT, bits 2:1, 8:5 and those beyond the physical-address width must "
        "be 0 in each PDPTE field that is present",
        state::pdptes,
        [](Examination &x) {
            for (const Field64 field : state::pdpte_fields) {
                if (pae_paging(x) && x.has(SecondaryControl::enable_ept)) {
                    const std::uint64_t bits = bad_pdpte_bits(x.cpu, x.get(field));
                    if (bits != 0) {
                        x.fault(field, bits);
                    }
                }
                x.next();
            }
        },
        EntryFailure::pdpte_loading),

    rule<
        FieldNatural::guest_cr0, FieldNatural::guest_cr4, FieldNatural::guest_cr3,
        Field32::entry_controls, Field32::primary_controls, Field32::secondary_controls>(
        "T01b", state::bad,
        "with PAE paging and without EPT, bits 2:1, 8:5 and those beyond the physical-address "
        "width must be 0 in each present PDPTE of the table to which guest CR3 points",
        state::pdptes,
        [](Examination &x) {
            if (!pae_paging(x) || x.has(SecondaryControl::enable_ept)) {
                return;
            }
            const std::uint64_t table =
                x.get(FieldNatural::guest_cr3) & 0xffffffe0; // PAE paging uses bits 31:5
            for (unsigned i = 0; i < 4 && !x.in_doubt(); ++i) {
                const std::uint64_t bits = bad_pdpte_bits(x.cpu, x.memory(table + 8ull * i));
                if (bits != 0) {
                    x.fault(FieldNatural::guest_cr3, x.get(FieldNatural::guest_cr3));
                    return;
                }
            }
        },
        EntryFailure::pdpte_loading),
};

} // namespace vtx::entry_checks
