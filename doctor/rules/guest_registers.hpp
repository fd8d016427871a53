// SPDX-License-Identifier: GPL-2.0-only
// long-file: one rule after the other, in the order of the SDM.
/// \file
/// Rules on control registers, debug registers and MSRs of the guest. Breaking one makes the VM
/// entry fail with exit reason 33.
/// \sdm{checks-on-guest-control-registers-debug-registers-and-msrs}
#pragma once

#include "doctor/rules/examination.hpp"
#include "doctor/rules/host_state.hpp"

namespace vtx::entry_checks {

namespace guest {

inline constexpr FailureClass bad = FailureClass::guest_state;
inline constexpr const char *registers =
    "checks-on-guest-control-registers-debug-registers-and-msrs";
inline constexpr const char *registers_newer =
    "+checks-on-guest-control-registers-debug-registers-and-msrs";

} // namespace guest

/// The rules on guest control registers, debug registers and MSRs, in the order of the SDM.
inline constexpr Rule guest_register_rules[] = {
    rule<FieldNatural::guest_cr0, Field32::primary_controls, Field32::secondary_controls>(
        "G01", guest::bad,
        "guest CR0 must respect the fixed bits of VMX operation, except NW and CD, and PE and PG "
        "of an unrestricted guest",
        guest::registers,
        [](Examination &x) {
            const std::uint64_t exempt = Cr0::nw | Cr0::cd;
            const std::uint64_t modes = Cr0::pe | Cr0::pg;
            const std::uint64_t cr0 = x.get(FieldNatural::guest_cr0);
            const VmxCapabilities &vmx = x.cpu.vmx;
            if ((violated_fixed_bits(cr0, vmx.cr0_fixed0, vmx.cr0_fixed1) & ~exempt) != 0) {
                x.fixed(
                    FieldNatural::guest_cr0, vmx.cr0_fixed0, vmx.cr0_fixed1,
                    exempt | (x.unrestricted() ? modes : 0));
            }
        }),

    rule<FieldNatural::guest_cr0>(
        "G02", guest::bad, "guest CR0.PG needs CR0.PE", guest::registers,
        [](Examination &x) {
            if ((x.get(FieldNatural::guest_cr0) & (Cr0::pg | Cr0::pe)) == Cr0::pg) {
                x.fault(FieldNatural::guest_cr0, Cr0::pg);
            }
        }),

    rule<FieldNatural::guest_cr4>(
        "G03", guest::bad, "guest CR4 must respect the fixed bits of VMX operation",
        guest::registers,
        [](Examination &x) {
            x.fixed(FieldNatural::guest_cr4, x.cpu.vmx.cr4_fixed0, x.cpu.vmx.cr4_fixed1);
        }),

    rule<FieldNatural::guest_cr4, FieldNatural::guest_cr0>(
        "G04", guest::bad, "guest CR4.CET needs CR0.WP", guest::registers_newer,
        [](Examination &x) {
            if ((x.get(FieldNatural::guest_cr4) & Cr4::cet) != 0 &&
                (x.get(FieldNatural::guest_cr0) & Cr0::wp) == 0) {
                x.fault(FieldNatural::guest_cr0, Cr0::wp);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_debugctl>(
        "G05", guest::bad,
        "with \"load debug controls\", reserved bits of guest IA32_DEBUGCTL must be 0",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_debug_controls)) {
                x.allowed(Field64::guest_debugctl, x.cpu.debugctl_bits);
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_cr0>(
        "G06", guest::bad, "\"IA-32e mode guest\" needs guest CR0.PG", guest::registers,
        [](Examination &x) {
            if (x.ia32e_guest() && (x.get(FieldNatural::guest_cr0) & Cr0::pg) == 0) {
                x.fault(FieldNatural::guest_cr0, Cr0::pg);
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_cr4>(
        "G07", guest::bad, "\"IA-32e mode guest\" needs guest CR4.PAE", guest::registers,
        [](Examination &x) {
            if (x.ia32e_guest() && (x.get(FieldNatural::guest_cr4) & Cr4::pae) == 0) {
                x.fault(FieldNatural::guest_cr4, Cr4::pae);
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_cr4>(
        "G08a", guest::bad, "guest CR4.PCIDE needs \"IA-32e mode guest\"", guest::registers,
        [](Examination &x) {
            if (!x.ia32e_guest()) {
                x.zero(FieldNatural::guest_cr4, Cr4::pcide);
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_cr4>(
        "G08b", guest::bad, "guest CR4.FRED needs \"IA-32e mode guest\"", guest::registers_newer,
        [](Examination &x) {
            if (!x.ia32e_guest()) {
                x.zero(FieldNatural::guest_cr4, Cr4::fred);
            }
        }),

    rule<FieldNatural::guest_cr3>(
        "G09", guest::bad,
        "guest CR3 must not set bits beyond the physical-address width (with LAM, bits 62:61 may "
        "be 1)",
        guest::registers,
        [](Examination &x) {
            if (x.cpu.physical_address_width == 0) {
                x.doubt(Undecided::processor);
            }
            const std::uint64_t lam =
                x.cpu.has(CpuFeature::linear_masking) ? std::uint64_t{3} << 61 : 0;
            x.zero(FieldNatural::guest_cr3, x.cpu.bits_beyond_physical() & ~lam);
        }),

    rule<Field32::entry_controls, FieldNatural::guest_dr7>(
        "G10", guest::bad, "with \"load debug controls\", bits 63:32 of guest DR7 must be 0",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_debug_controls)) {
                x.zero(FieldNatural::guest_dr7, 0xffffffff00000000);
            }
        }),

    rule<FieldNatural::guest_sysenter_esp, FieldNatural::guest_sysenter_eip>(
        "G11", guest::bad, "guest IA32_SYSENTER_ESP and IA32_SYSENTER_EIP must be canonical",
        guest::registers,
        [](Examination &x) {
            x.canonical(FieldNatural::guest_sysenter_esp);
            x.next();
            x.canonical(FieldNatural::guest_sysenter_eip);
        }),

    rule<Field32::entry_controls, Field64::guest_perf_global_ctrl>(
        "G12", guest::bad,
        "with \"load IA32_PERF_GLOBAL_CTRL\", only bits of counters that exist may be 1",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_perf_global_ctrl)) {
                x.allowed(Field64::guest_perf_global_ctrl, x.cpu.perf_global_ctrl_bits);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_pat>(
        "G13", guest::bad,
        "with \"load IA32_PAT\", each byte of guest IA32_PAT must be 0, 1, 4, 5, 6 or 7",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_pat)) {
                const std::uint64_t bits = bad_pat_bits(x.get(Field64::guest_pat));
                if (bits != 0) {
                    x.fault(Field64::guest_pat, bits);
                }
            }
        }),

    rule<Field32::entry_controls, Field64::guest_efer>(
        "G14a", guest::bad, "with \"load IA32_EFER\", reserved bits of guest IA32_EFER must be 0",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_efer)) {
                x.allowed(Field64::guest_efer, x.cpu.efer_bits);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_efer>(
        "G14b", guest::bad,
        "with \"load IA32_EFER\", LMA of guest IA32_EFER must equal \"IA-32e mode guest\"",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_efer) &&
                ((x.get(Field64::guest_efer) & Efer::lma) != 0) != x.ia32e_guest()) {
                x.fault(Field64::guest_efer, Efer::lma);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_efer, FieldNatural::guest_cr0>(
        "G14c", guest::bad,
        "with \"load IA32_EFER\" and guest CR0.PG, LMA and LME of guest IA32_EFER must be equal",
        guest::registers,
        [](Examination &x) {
            if (!x.has(EntryControl::load_efer) ||
                (x.get(FieldNatural::guest_cr0) & Cr0::pg) == 0) {
                return;
            }
            const std::uint64_t efer = x.get(Field64::guest_efer);
            if (((efer & Efer::lma) != 0) != ((efer & Efer::lme) != 0)) {
                x.fault(Field64::guest_efer, Efer::lma | Efer::lme);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_bndcfgs>(
        "G15", guest::bad,
        "with \"load IA32_BNDCFGS\", bits 11:2 of guest IA32_BNDCFGS must be 0 and the address in "
        "it canonical",
        guest::registers,
        [](Examination &x) {
            if (x.has(EntryControl::load_bndcfgs)) {
                const std::uint64_t value = x.get(Field64::guest_bndcfgs);
                const std::uint64_t bits = (value & 0xffcu) | x.not_canonical(value);
                if (bits != 0) {
                    x.fault(Field64::guest_bndcfgs, bits);
                }
            }
        }),

    rule<Field32::entry_controls, Field64::guest_rtit_ctl>(
        "G16a", guest::bad,
        "with \"load IA32_RTIT_CTL\", reserved bits of guest IA32_RTIT_CTL must be 0",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_rtit_ctl)) {
                // What no processor has: bits 18, 23, 30:28, 54:48 and 63:57. Which others a
                // processor lacks is in CPUID leaf 0x14, which the description does not hold.
                x.zero(Field64::guest_rtit_ctl, 0xfe7f000070840000);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_lbr_ctl>(
        "G16b", guest::bad,
        "with \"load guest IA32_LBR_CTL\", bits 15:4 and 63:23 of guest IA32_LBR_CTL must be 0",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_lbr_ctl)) {
                x.zero(Field64::guest_lbr_ctl, 0xffffffffff80fff0);
            }
        }),

    rule<Field32::entry_controls, Field16::guest_uinv>(
        "G16c", guest::bad, "with \"load UINV\", bits 15:8 of guest UINV must be 0",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_uinv)) {
                x.zero(Field16::guest_uinv, 0xff00);
            }
        }),

    rule<Field32::entry_controls, Field64::guest_pkrs>(
        "G16d", guest::bad, "with \"load PKRS\", bits 63:32 of guest IA32_PKRS must be 0",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_pkrs)) {
                x.zero(Field64::guest_pkrs, 0xffffffff00000000);
            }
        }),

    rule<
        Field32::entry_controls, Field64::guest_fred_config, Field64::guest_fred_rsp1,
        Field64::guest_fred_rsp2, Field64::guest_fred_rsp3, Field64::guest_fred_ssp1,
        Field64::guest_fred_ssp2, Field64::guest_fred_ssp3>(
        "G16e", guest::bad,
        "with \"load FRED\", the guest FRED registers must be canonical and their reserved bits 0 "
        "(config 11, 5, 4, 2; stacks 5:0; shadow stacks 2:0)",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_fred)) {
                fred_state(
                    x, Field64::guest_fred_config,
                    {Field64::guest_fred_rsp1, Field64::guest_fred_rsp2, Field64::guest_fred_rsp3},
                    {Field64::guest_fred_ssp1, Field64::guest_fred_ssp2, Field64::guest_fred_ssp3});
            }
        }),

    rule<Field32::entry_controls, Field64::guest_spec_ctrl>(
        "G16f", guest::bad,
        "with \"load IA32_SPEC_CTRL\", bits 9 and 63:11 of guest IA32_SPEC_CTRL must be 0",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_spec_ctrl)) {
                x.zero(Field64::guest_spec_ctrl, spec_ctrl_reserved);
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_s_cet>(
        "G17a", guest::bad,
        "with \"load CET state\", guest IA32_S_CET must be canonical, its reserved bits 0, and "
        "SUPPRESS and TRACKER not both 1",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_cet_state)) {
                const std::uint64_t value = x.get(FieldNatural::guest_s_cet);
                const std::uint64_t bits = bad_s_cet_bits(x.cpu, value) | x.not_canonical(value);
                if (bits != 0) {
                    x.fault(FieldNatural::guest_s_cet, bits);
                }
            }
        }),

    rule<Field32::entry_controls, FieldNatural::guest_interrupt_ssp_table>(
        "G17b", guest::bad,
        "with \"load CET state\", guest IA32_INTERRUPT_SSP_TABLE_ADDR must be canonical",
        guest::registers_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_cet_state)) {
                x.canonical(FieldNatural::guest_interrupt_ssp_table);
            }
        }),
};

} // namespace vtx::entry_checks
