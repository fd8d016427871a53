// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What Linux KVM prints into the kernel log when a VM entry fails: the records of dump_vmcs(), of
/// all kernels from 4.4 to 7.3. Read from the format strings of Debian's
/// linux-source 5.10, 6.1, 6.12 and 7.3 and of Linux 4.4 and 4.19; what is between them, from the
/// changes that were made to them.
#pragma once

#include "dump.hpp"

#include <array>

namespace doctor::kvm {

using vtx::Field16;
using vtx::Field32;
using vtx::Field64;
using vtx::FieldNatural;

/// The parts of a dump. `either` is for records that both the guest's and the host's part can have.
enum class Section { start, guest, host, control, either };

/// What a record means beside its values.
enum class Role {
    values,      ///< nothing: it has values of fields
    entry,       ///< the line before a dump
    heading,     ///< begins a section
    efer,        ///< may say (autoload) or (effective): then it is not the field
    old_efer,    ///< has its own form in the two sections
    list_loads,  ///< heads the list of MSRs to load, at VM entries (guest) or VM exits (host)
    list_stores, ///< heads the list of MSRs to store at VM exits
    list_row,    ///< an MSR in such a list
};

/// The encoding of a field.
template <class F> constexpr std::uint32_t e(F field) { return vtx::field_encoding(field); }

/// One value of a record: the field that it is, and how it is printed.
struct Value {
    std::uint32_t guest = 0; ///< its encoding, 0 for a value that is no field
    std::uint32_t host = 0;  ///< in the host's part, if the record is Section::either
    unsigned digits = 0;     ///< how many are printed; more only if `grows`
    bool grows = false;      ///< a large value has more digits
};

/// The value of a field, with all the digits that its width needs.
template <class F> constexpr Value v(F field) {
    return {e(field), 0, vtx::field_bits(vtx::field_width(e(field))) / 4, false};
}

/// A value of a record that both parts have: this field of the guest there, that of the host here.
template <class G, class H> constexpr Value both(G guest, H host) {
    Value value = v(guest);
    value.host = e(host);
    return value;
}

/// A value that is printed with `digits` digits, and with more if it is larger.
constexpr Value wide(Value value, unsigned digits) {
    value.digits = digits;
    value.grows = true;
    return value;
}

constexpr bool sometimes = false; // on some processors, kernels or with some controls only
constexpr bool always = true;     // every dump has it

/// One record of a section, which every dump has (`always`) or only some. In `text` each # stands
/// for a value in hexadecimal, a blank for at least one.
struct Record {
    Section section;
    bool always;
    const char *text;
    std::array<Value, 7> values{};
    Role role = Role::values;
};

#define SEGMENT(start, name)                                                                       \
    {                                                                                              \
        Section::guest, always, start " sel=0x#, attr=0x#, limit=0x#, base=0x#", {                 \
            v(Field16::guest_##name##_selector),                                                   \
                wide(v(Field32::guest_##name##_access_rights), 5),                                 \
                v(Field32::guest_##name##_limit), v(FieldNatural::guest_##name##_base)             \
        }                                                                                          \
    }

// In the order in which they are printed.
constexpr Record records[] = {
    {Section::start, sometimes, "last attempted VM-entry on CPU", {}, Role::entry}, // from 5.14

    {Section::guest, sometimes, "*** Guest State ***", {}, Role::heading},
    {Section::guest,
     always,
     "CR0: actual=0x#, shadow=0x#, gh_mask=#",
     {v(FieldNatural::guest_cr0), v(FieldNatural::cr0_read_shadow),
      v(FieldNatural::cr0_guest_host_mask)}},
    {Section::guest,
     always,
     "CR4: actual=0x#, shadow=0x#, gh_mask=#",
     {v(FieldNatural::guest_cr4), v(FieldNatural::cr4_read_shadow),
      v(FieldNatural::cr4_guest_host_mask)}},
    {Section::guest, always, "CR3 = 0x#", {v(FieldNatural::guest_cr3)}},
    {Section::guest,
     sometimes,
     "PDPTR0 = 0x# PDPTR1 = 0x#",
     {v(Field64::guest_pdpte_0), v(Field64::guest_pdpte_1)}},
    {Section::guest,
     sometimes,
     "PDPTR2 = 0x# PDPTR3 = 0x#",
     {v(Field64::guest_pdpte_2), v(Field64::guest_pdpte_3)}},
    {Section::guest,
     always,
     "RSP = 0x# RIP = 0x#",
     {v(FieldNatural::guest_rsp), v(FieldNatural::guest_rip)}},
    {Section::guest,
     always,
     "RFLAGS=0x# DR7 = 0x#",
     {wide(v(FieldNatural::guest_rflags), 8), v(FieldNatural::guest_dr7)}},
    {Section::either,
     always,
     "Sysenter RSP=# CS:RIP=#:#",
     {both(FieldNatural::guest_sysenter_esp, FieldNatural::host_sysenter_esp),
      wide(both(Field32::guest_sysenter_cs, Field32::host_sysenter_cs), 4),
      both(FieldNatural::guest_sysenter_eip, FieldNatural::host_sysenter_eip)}},
    SEGMENT("CS:", cs),
    SEGMENT("DS:", ds),
    SEGMENT("SS:", ss),
    SEGMENT("ES:", es),
    SEGMENT("FS:", fs),
    SEGMENT("GS:", gs),
    {Section::guest,
     always,
     "GDTR: limit=0x#, base=0x#",
     {v(Field32::guest_gdtr_limit), v(FieldNatural::guest_gdtr_base)}},
    SEGMENT("LDTR:", ldtr),
    {Section::guest,
     always,
     "IDTR: limit=0x#, base=0x#",
     {v(Field32::guest_idtr_limit), v(FieldNatural::guest_idtr_base)}},
    SEGMENT("TR:", tr),
    // To 5.12; with five blanks in the guest's part, with one in the host's.
    {Section::either,
     sometimes,
     "EFER = 0x# PAT = 0x#",
     {both(Field64::guest_efer, Field64::host_efer), both(Field64::guest_pat, Field64::host_pat)},
     Role::old_efer},
    // From 5.13.
    {Section::either,
     sometimes,
     "EFER= 0x#",
     {both(Field64::guest_efer, Field64::host_efer)},
     Role::efer},
    {Section::either, sometimes, "PAT = 0x#", {both(Field64::guest_pat, Field64::host_pat)}},
    {Section::guest,
     always,
     "DebugCtl = 0x# DebugExceptions = 0x#",
     {v(Field64::guest_debugctl), v(FieldNatural::guest_pending_debug_exceptions)}},
    {Section::either,
     sometimes,
     "PerfGlobCtl = 0x#",
     {both(Field64::guest_perf_global_ctrl, Field64::host_perf_global_ctrl)}},
    {Section::guest, sometimes, "BndCfgS = 0x#", {v(Field64::guest_bndcfgs)}},
    {Section::guest,
     always,
     "Interruptibility = # ActivityState = #",
     {v(Field32::guest_interruptibility), v(Field32::guest_activity_state)}},
    {Section::guest, sometimes, "InterruptStatus = #", {v(Field16::guest_interrupt_status)}},
    // From 5.13; "guest" goes from the second in 7.0.
    {Section::guest, sometimes, "MSR guest autoload:", {}, Role::list_loads},
    {Section::guest, sometimes, "MSR guest autostore:", {}, Role::list_stores},
    {Section::guest, sometimes, "MSR autostore:", {}, Role::list_stores},
    {Section::either, sometimes, "msr=0x# value=0x#", {{{0, 0, 8}, {0, 0, 16}}}, Role::list_row},
    // From 6.18; out of tree, on three lines, for years before.
    {Section::either,
     sometimes,
     "S_CET = 0x#",
     {both(FieldNatural::guest_s_cet, FieldNatural::host_s_cet)}},
    {Section::either,
     sometimes,
     "SSP = 0x#",
     {both(FieldNatural::guest_ssp, FieldNatural::host_ssp)}},
    {Section::either,
     sometimes,
     "SSP TABLE = 0x#",
     {both(FieldNatural::guest_interrupt_ssp_table, FieldNatural::host_interrupt_ssp_table)}},

    {Section::host, sometimes, "*** Host State ***", {}, Role::heading},
    {Section::host,
     always,
     "RIP = 0x# RSP = 0x#",
     {v(FieldNatural::host_rip), v(FieldNatural::host_rsp)}},
    {Section::host,
     always,
     "CS=# SS=# DS=# ES=# FS=# GS=# TR=#",
     {v(Field16::host_cs_selector), v(Field16::host_ss_selector), v(Field16::host_ds_selector),
      v(Field16::host_es_selector), v(Field16::host_fs_selector), v(Field16::host_gs_selector),
      v(Field16::host_tr_selector)}},
    {Section::host,
     always,
     "FSBase=# GSBase=# TRBase=#",
     {v(FieldNatural::host_fs_base), v(FieldNatural::host_gs_base), v(FieldNatural::host_tr_base)}},
    {Section::host,
     always,
     "GDTBase=# IDTBase=#",
     {v(FieldNatural::host_gdtr_base), v(FieldNatural::host_idtr_base)}},
    {Section::host,
     always,
     "CR0=# CR3=# CR4=#",
     {v(FieldNatural::host_cr0), v(FieldNatural::host_cr3), v(FieldNatural::host_cr4)}},
    {Section::host, sometimes, "MSR host autoload:", {}, Role::list_loads},

    {Section::control, sometimes, "*** Control State ***", {}, Role::heading},
    {Section::control,
     always,
     "PinBased=# CPUBased=# SecondaryExec=#", // to 5.19
     {v(Field32::pin_based_controls), v(Field32::primary_controls),
      v(Field32::secondary_controls)}},
    {Section::control,
     always,
     "EntryControls=# ExitControls=#",
     {v(Field32::entry_controls), v(Field32::exit_controls)}},
    {Section::control,
     always,
     "CPUBased=0x# SecondaryExec=0x#", // from 6.0, as the next two
     {v(Field32::primary_controls), v(Field32::secondary_controls)}},
    {Section::control, sometimes, "TertiaryExec=0x#", {v(Field64::tertiary_controls)}},
    {Section::control,
     always,
     "PinBased=0x# EntryControls=# ExitControls=#",
     {v(Field32::pin_based_controls), v(Field32::entry_controls), v(Field32::exit_controls)}},
    {Section::control,
     always,
     "ExceptionBitmap=# PFECmask=# PFECmatch=#",
     {v(Field32::exception_bitmap), v(Field32::page_fault_error_code_mask),
      v(Field32::page_fault_error_code_match)}},
    {Section::control,
     always,
     "VMEntry: intr_info=# errcode=# ilen=#",
     {v(Field32::entry_interruption_information), v(Field32::entry_exception_error_code),
      v(Field32::entry_instruction_length)}},
    {Section::control,
     always,
     "VMExit: intr_info=# errcode=# ilen=#",
     {v(Field32::exit_interruption_information), v(Field32::exit_interruption_error_code),
      v(Field32::exit_instruction_length)}},
    {Section::control,
     always,
     "reason=# qualification=#",
     {v(Field32::exit_reason), v(FieldNatural::exit_qualification)}},
    {Section::control,
     always,
     "IDTVectoring: info=# errcode=#",
     {v(Field32::idt_vectoring_information), v(Field32::idt_vectoring_error_code)}},
    {Section::control, always, "TSC Offset = 0x#", {v(Field64::tsc_offset)}},
    {Section::control, sometimes, "TSC Multiplier = 0x#", {v(Field64::tsc_multiplier)}},
    {Section::control, sometimes, "TPR Threshold = 0x#", {wide(v(Field32::tpr_threshold), 2)}},
    {Section::control, sometimes, "APIC-access addr = 0x#", {v(Field64::apic_access_address)}},
    {Section::control, sometimes, "virt-APIC addr = 0x#", {v(Field64::virtual_apic_address)}},
    {Section::control,
     sometimes,
     "PostedIntrVec = 0x#",
     {wide(v(Field16::posted_interrupt_vector), 2)}},
    {Section::control, sometimes, "EPT pointer = 0x#", {v(Field64::ept_pointer)}},
    {Section::control, sometimes, "CR3 target0=#", {v(FieldNatural::cr3_target_0)}}, // to 5.7
    {Section::control, sometimes, "target1=#", {v(FieldNatural::cr3_target_1)}},
    {Section::control,
     sometimes,
     "PLE Gap=# Window=#",
     {v(Field32::ple_gap), v(Field32::ple_window)}},
    {Section::control, sometimes, "Virtual processor ID = 0x#", {v(Field16::vpid)}},
    {Section::control,
     sometimes,
     "VE info address = 0x#", // from 6.10
     {v(Field64::ve_information_address)}},
};

#undef SEGMENT

} // namespace doctor::kvm
