// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What no rule of VM entry forbids and no hypervisor wants: the guest runs, and the machine dies
/// at the VM exit or soon after it. Mostly these are zeroes in fields that nobody wrote.
/// \sdm{loading-host-control-registers-debug-registers-msrs}
/// \sdm{loading-host-segment-and-descriptor-table-registers} \sdm{loading-host-rip-rsp-and-rflags}
#pragma once

#include "doctor/rules/examination.hpp"

namespace vtx::entry_checks {

namespace suspicious {

inline constexpr FailureClass legal = FailureClass::suspicious;
inline constexpr const char *registers = "loading-host-control-registers-debug-registers-msrs";
inline constexpr const char *segments = "loading-host-segment-and-descriptor-table-registers";
inline constexpr const char *instruction = "loading-host-rip-rsp-and-rflags";

/// The field is 0. No bit of it is at fault, so none is named.
constexpr void not_zero(Examination &x, FieldNatural field) {
    if (x.get(field) == 0) {
        x.fault(field, 0);
    }
}

/// The address is in the half for programs, where 64-bit kernels have no tables.
constexpr void in_the_kernel(Examination &x, FieldNatural field) {
    if (x.now.ia32e_mode && (x.get(field) >> 47) == 0) {
        x.fault(field, 0);
    }
}

} // namespace suspicious

/// W01 to W08.
inline constexpr Rule suspicious_rules[] = {
    rule<FieldNatural::host_cr3>(
        "W01", suspicious::legal,
        "host CR3 should not be 0: after the VM exit the page tables would be at physical address "
        "0",
        suspicious::registers,
        [](Examination &x) { suspicious::not_zero(x, FieldNatural::host_cr3); }),

    rule<FieldNatural::host_gs_base>(
        "W02", suspicious::legal,
        "host GS base should not be 0: 64-bit kernels find the data of each processor there",
        suspicious::segments,
        [](Examination &x) {
            if (x.now.ia32e_mode) {
                suspicious::not_zero(x, FieldNatural::host_gs_base);
            }
        }),

    rule<FieldNatural::host_tr_base>(
        "W03", suspicious::legal,
        "host TR base should not be 0: it is legal, and after the VM exit the first use of the TSS "
        "crashes the host",
        suspicious::segments,
        [](Examination &x) { suspicious::not_zero(x, FieldNatural::host_tr_base); }),

    rule<FieldNatural::host_gdtr_base>(
        "W04", suspicious::legal,
        "host GDTR base should be in the kernel's half: after the VM exit the processor would load "
        "segments from a table that is not there",
        suspicious::segments,
        [](Examination &x) { suspicious::in_the_kernel(x, FieldNatural::host_gdtr_base); }),

    rule<FieldNatural::host_idtr_base>(
        "W05", suspicious::legal,
        "host IDTR base should be in the kernel's half: the first interrupt after the VM exit "
        "would "
        "find no handler",
        suspicious::segments,
        [](Examination &x) { suspicious::in_the_kernel(x, FieldNatural::host_idtr_base); }),

    rule<FieldNatural::host_rip>(
        "W06", suspicious::legal, "host RIP should not be 0: each VM exit would go on at address 0",
        suspicious::instruction,
        [](Examination &x) { suspicious::not_zero(x, FieldNatural::host_rip); }),

    rule<FieldNatural::host_rsp>(
        "W07", suspicious::legal,
        "host RSP should not be 0: after the VM exit there would be no stack",
        suspicious::instruction,
        [](Examination &x) { suspicious::not_zero(x, FieldNatural::host_rsp); }),

    rule<Field64::vmcs_link_pointer>(
        "W08", suspicious::legal,
        "the VMCS link pointer should be all ones if there is no shadow VMCS: for 0 the processor "
        "looks for one at physical address 0",
        "checks-on-guest-non-register-state",
        [](Examination &x) {
            if (x.get(Field64::vmcs_link_pointer) == 0) {
                x.fault(Field64::vmcs_link_pointer, 0);
            }
        }),
};

} // namespace vtx::entry_checks
