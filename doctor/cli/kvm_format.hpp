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

constexpr bool sometimes = false; // on some processors, or with some controls only

struct Label {
    Section section;       ///< where the label has this meaning
    std::string_view text; ///< the value, hexadecimal, follows
    std::uint32_t encoding;
    bool always = true; ///< every dump has it
};

template <class F> constexpr std::uint32_t e(F field) { return vtx::field_encoding(field); }

// Every label that is followed by one value. One line can hold several. A label counts only at the
// start of a line or behind a blank, and the first one that fits counts. Linux 5.15, 6.1 and 6.16
// agree on what is in every dump: these, unless marked, and the lines of the tables below.
constexpr Label labels[] = {
    {Section::guest, "RSP = ", e(FieldNatural::guest_rsp)},
    {Section::guest, "RIP = ", e(FieldNatural::guest_rip)},
    {Section::guest, "CR3 = ", e(FieldNatural::guest_cr3)},
    {Section::guest, "PDPTR0 = ", e(Field64::guest_pdpte_0), sometimes},
    {Section::guest, "PDPTR1 = ", e(Field64::guest_pdpte_1), sometimes},
    {Section::guest, "PDPTR2 = ", e(Field64::guest_pdpte_2), sometimes},
    {Section::guest, "PDPTR3 = ", e(Field64::guest_pdpte_3), sometimes},
    {Section::guest, "RFLAGS=", e(FieldNatural::guest_rflags)},
    {Section::guest, "DR7 = ", e(FieldNatural::guest_dr7)},
    {Section::guest, "Sysenter RSP=", e(FieldNatural::guest_sysenter_esp)},
    {Section::guest, "PAT = ", e(Field64::guest_pat), sometimes},
    {Section::guest, "DebugCtl = ", e(Field64::guest_debugctl)},
    {Section::guest, "DebugExceptions = ", e(FieldNatural::guest_pending_debug_exceptions)},
    {Section::guest, "PerfGlobCtl = ", e(Field64::guest_perf_global_ctrl), sometimes},
    {Section::guest, "BndCfgS = ", e(Field64::guest_bndcfgs), sometimes},
    {Section::guest, "Interruptibility = ", e(Field32::guest_interruptibility)},
    {Section::guest, "ActivityState = ", e(Field32::guest_activity_state)},
    {Section::guest, "InterruptStatus = ", e(Field16::guest_interrupt_status), sometimes},

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
    {Section::host, "EFER= ", e(Field64::host_efer), sometimes},
    {Section::host, "PAT = ", e(Field64::host_pat), sometimes},
    {Section::host, "PerfGlobCtl = ", e(Field64::host_perf_global_ctrl), sometimes},

    {Section::control, "PinBased=", e(Field32::pin_based_controls)},
    {Section::control, "CPUBased=", e(Field32::primary_controls)},
    {Section::control, "SecondaryExec=", e(Field32::secondary_controls)},
    {Section::control, "TertiaryExec=", e(Field64::tertiary_controls), sometimes},
    {Section::control, "EntryControls=", e(Field32::entry_controls)},
    {Section::control, "ExitControls=", e(Field32::exit_controls)},
    {Section::control, "ExceptionBitmap=", e(Field32::exception_bitmap)},
    {Section::control, "PFECmask=", e(Field32::page_fault_error_code_mask)},
    {Section::control, "PFECmatch=", e(Field32::page_fault_error_code_match)},
    {Section::control, "reason=", e(Field32::exit_reason)},
    {Section::control, "qualification=", e(FieldNatural::exit_qualification)},
    {Section::control, "TSC Offset = ", e(Field64::tsc_offset)},
    {Section::control, "TSC Multiplier = ", e(Field64::tsc_multiplier), sometimes},
    {Section::control, "TPR Threshold = ", e(Field32::tpr_threshold), sometimes},
    {Section::control, "APIC-access addr = ", e(Field64::apic_access_address), sometimes},
    {Section::control, "virt-APIC addr = ", e(Field64::virtual_apic_address), sometimes},
    {Section::control, "PostedIntrVec = ", e(Field16::posted_interrupt_vector), sometimes},
    {Section::control, "EPT pointer = ", e(Field64::ept_pointer), sometimes},
    {Section::control, "PLE Gap=", e(Field32::ple_gap), sometimes},
    {Section::control, "Window=", e(Field32::ple_window), sometimes},
    {Section::control, "Virtual processor ID = ", e(Field16::vpid), sometimes},
    {Section::control, "VE info address = ", e(Field64::ve_information_address), sometimes},
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
