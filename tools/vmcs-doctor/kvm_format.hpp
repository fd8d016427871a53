// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What Linux KVM prints into the kernel log when a VM entry fails and kvm_intel was loaded with
/// dump_invalid_vmcs=1: dump_vmcs() prints most fields of the VMCS in its own words. Which words,
/// was read from the format strings in Debian's linux-source-6.1 and linux-source-6.12.
#pragma once

#include "dump.hpp"

namespace doctor::kvm {

constexpr std::string_view first_line = "last attempted VM-entry on CPU";
constexpr std::string_view guest_heading = "*** Guest State ***";
constexpr std::string_view host_heading = "*** Host State ***";
constexpr std::string_view control_heading = "*** Control State ***";

using vtx::Field16;
using vtx::Field32;
using vtx::Field64;
using vtx::FieldNatural;

/// The parts of a dump, each under its heading.
enum class Section { none, guest, host, control };

struct Label {
    Section section;       ///< where the label has this meaning
    std::string_view text; ///< the value, hexadecimal, follows
    std::uint32_t encoding;
};

template <class F> constexpr std::uint32_t e(F field) { return vtx::field_encoding(field); }

// Every label that is followed by one value. One line can hold several. A label counts only at the
// start of a line or behind a blank, and the first one that fits counts.
constexpr Label labels[] = {
    {Section::guest, "RSP = ", e(FieldNatural::guest_rsp)},
    {Section::guest, "RIP = ", e(FieldNatural::guest_rip)},
    {Section::guest, "CR3 = ", e(FieldNatural::guest_cr3)},
    {Section::guest, "PDPTR0 = ", e(Field64::guest_pdpte_0)},
    {Section::guest, "PDPTR1 = ", e(Field64::guest_pdpte_1)},
    {Section::guest, "PDPTR2 = ", e(Field64::guest_pdpte_2)},
    {Section::guest, "PDPTR3 = ", e(Field64::guest_pdpte_3)},
    {Section::guest, "RFLAGS=", e(FieldNatural::guest_rflags)},
    {Section::guest, "DR7 = ", e(FieldNatural::guest_dr7)},
    {Section::guest, "Sysenter RSP=", e(FieldNatural::guest_sysenter_esp)},
    {Section::guest, "PAT = ", e(Field64::guest_pat)},
    {Section::guest, "DebugCtl = ", e(Field64::guest_debugctl)},
    {Section::guest, "DebugExceptions = ", e(FieldNatural::guest_pending_debug_exceptions)},
    {Section::guest, "PerfGlobCtl = ", e(Field64::guest_perf_global_ctrl)},
    {Section::guest, "BndCfgS = ", e(Field64::guest_bndcfgs)},
    {Section::guest, "Interruptibility = ", e(Field32::guest_interruptibility)},
    {Section::guest, "ActivityState = ", e(Field32::guest_activity_state)},
    {Section::guest, "InterruptStatus = ", e(Field16::guest_interrupt_status)},

    {Section::host, "RIP = ", e(FieldNatural::host_rip)},
    {Section::host, "RSP = ", e(FieldNatural::host_rsp)},
    {Section::host, "CS=", e(Field16::host_cs_selector)},
    {Section::host, "SS=", e(Field16::host_ss_selector)},
    {Section::host, "DS=", e(Field16::host_ds_selector)},
    {Section::host, "ES=", e(Field16::host_es_selector)},
    {Section::host, "FS=", e(Field16::host_fs_selector)},
    {Section::host, "GS=", e(Field16::host_gs_selector)},
    {Section::host, "TR=", e(Field16::host_tr_selector)},
    {Section::host, "FSBase=", e(FieldNatural::host_fs_base)},
    {Section::host, "GSBase=", e(FieldNatural::host_gs_base)},
    {Section::host, "TRBase=", e(FieldNatural::host_tr_base)},
    {Section::host, "GDTBase=", e(FieldNatural::host_gdtr_base)},
    {Section::host, "IDTBase=", e(FieldNatural::host_idtr_base)},
    {Section::host, "CR0=", e(FieldNatural::host_cr0)},
    {Section::host, "CR3=", e(FieldNatural::host_cr3)},
    {Section::host, "CR4=", e(FieldNatural::host_cr4)},
    {Section::host, "Sysenter RSP=", e(FieldNatural::host_sysenter_esp)},
    {Section::host, "EFER= ", e(Field64::host_efer)},
    {Section::host, "PAT = ", e(Field64::host_pat)},
    {Section::host, "PerfGlobCtl = ", e(Field64::host_perf_global_ctrl)},

    {Section::control, "PinBased=", e(Field32::pin_based_controls)},
    {Section::control, "CPUBased=", e(Field32::primary_controls)},
    {Section::control, "SecondaryExec=", e(Field32::secondary_controls)},
    {Section::control, "TertiaryExec=", e(Field64::tertiary_controls)},
    {Section::control, "EntryControls=", e(Field32::entry_controls)},
    {Section::control, "ExitControls=", e(Field32::exit_controls)},
    {Section::control, "ExceptionBitmap=", e(Field32::exception_bitmap)},
    {Section::control, "PFECmask=", e(Field32::page_fault_error_code_mask)},
    {Section::control, "PFECmatch=", e(Field32::page_fault_error_code_match)},
    {Section::control, "reason=", e(Field32::exit_reason)},
    {Section::control, "qualification=", e(FieldNatural::exit_qualification)},
    {Section::control, "TSC Offset = ", e(Field64::tsc_offset)},
    {Section::control, "TSC Multiplier = ", e(Field64::tsc_multiplier)},
    {Section::control, "TPR Threshold = ", e(Field32::tpr_threshold)},
    {Section::control, "APIC-access addr = ", e(Field64::apic_access_address)},
    {Section::control, "virt-APIC addr = ", e(Field64::virtual_apic_address)},
    {Section::control, "PostedIntrVec = ", e(Field16::posted_interrupt_vector)},
    {Section::control, "EPT pointer = ", e(Field64::ept_pointer)},
    {Section::control, "PLE Gap=", e(Field32::ple_gap)},
    {Section::control, "Window=", e(Field32::ple_window)},
    {Section::control, "Virtual processor ID = ", e(Field16::vpid)},
    {Section::control, "VE info address = ", e(Field64::ve_information_address)},
};

// One field of each line that is always there.
struct Always {
    Section section;
    std::uint32_t encoding;
};

constexpr Always always[] = {
    {Section::guest, e(FieldNatural::guest_cr0)},
    {Section::guest, e(FieldNatural::guest_cr4)},
    {Section::guest, e(FieldNatural::guest_cr3)},
    {Section::guest, e(FieldNatural::guest_rsp)},
    {Section::guest, e(FieldNatural::guest_rflags)},
    {Section::guest, e(FieldNatural::guest_sysenter_esp)},
    {Section::guest, e(Field16::guest_cs_selector)},
    {Section::guest, e(Field16::guest_ds_selector)},
    {Section::guest, e(Field16::guest_ss_selector)},
    {Section::guest, e(Field16::guest_es_selector)},
    {Section::guest, e(Field16::guest_fs_selector)},
    {Section::guest, e(Field16::guest_gs_selector)},
    {Section::guest, e(Field32::guest_gdtr_limit)},
    {Section::guest, e(Field16::guest_ldtr_selector)},
    {Section::guest, e(Field32::guest_idtr_limit)},
    {Section::guest, e(Field16::guest_tr_selector)},
    {Section::guest, e(Field64::guest_debugctl)},
    {Section::guest, e(Field32::guest_interruptibility)},
    {Section::host, e(FieldNatural::host_rip)},
    {Section::host, e(Field16::host_cs_selector)},
    {Section::host, e(FieldNatural::host_fs_base)},
    {Section::host, e(FieldNatural::host_gdtr_base)},
    {Section::host, e(FieldNatural::host_cr0)},
    {Section::host, e(FieldNatural::host_sysenter_esp)},
    {Section::control, e(Field32::primary_controls)},
    {Section::control, e(Field32::pin_based_controls)},
    {Section::control, e(Field32::exception_bitmap)},
    {Section::control, e(Field32::entry_interruption_information)},
    {Section::control, e(Field32::exit_interruption_information)},
    {Section::control, e(Field32::exit_reason)},
    {Section::control, e(Field32::idt_vectoring_information)},
    {Section::control, e(Field64::tsc_offset)},
};

// The three lines about events: a first word, then three (or two) values.
struct EventLine {
    std::string_view start;
    std::uint32_t info, error_code, length; // 0: not there
};

constexpr EventLine event_lines[] = {
    {"VMEntry:", e(Field32::entry_interruption_information), e(Field32::entry_exception_error_code),
     e(Field32::entry_instruction_length)},
    {"VMExit:", e(Field32::exit_interruption_information), e(Field32::exit_interruption_error_code),
     e(Field32::exit_instruction_length)},
    {"IDTVectoring:", e(Field32::idt_vectoring_information), e(Field32::idt_vectoring_error_code),
     0},
};

// Segment registers and descriptor tables: "CS:   sel=..., attr=..., limit=..., base=...".
struct SegmentLine {
    std::string_view start;
    std::uint32_t selector, rights, limit, base; // 0: not there
};

constexpr SegmentLine segment_lines[] = {
#define SEGMENT(start, name)                                                                       \
    {                                                                                              \
        start, e(Field16::guest_##name##_selector), e(Field32::guest_##name##_access_rights),      \
            e(Field32::guest_##name##_limit), e(FieldNatural::guest_##name##_base)                 \
    }
    SEGMENT("CS:", cs),
    SEGMENT("DS:", ds),
    SEGMENT("SS:", ss),
    SEGMENT("ES:", es),
    SEGMENT("FS:", fs),
    SEGMENT("GS:", gs),
    SEGMENT("LDTR:", ldtr),
    SEGMENT("TR:", tr),
#undef SEGMENT
    {"GDTR:", 0, 0, e(Field32::guest_gdtr_limit), e(FieldNatural::guest_gdtr_base)},
    {"IDTR:", 0, 0, e(Field32::guest_idtr_limit), e(FieldNatural::guest_idtr_base)},
};

} // namespace doctor::kvm
