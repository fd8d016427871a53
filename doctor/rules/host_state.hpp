// SPDX-License-Identifier: GPL-2.0-only
// long-file: one rule after the other, in the order of the SDM.
/// \file
/// Rules on the host-state area. Breaking one gives VM-instruction error 8.
/// \sdm{checks-on-host-control-registers-and-msrs}
/// \sdm{checks-on-host-segment-and-descriptor-table-registers}
/// \sdm{checks-related-to-address-space-size}
#pragma once

#include "doctor/rules/examination.hpp"

namespace vtx::entry_checks {

/// Bits of a value of IA32_PAT that make WRMSR fault: bytes that are not a memory type.
/// \sdm{checks-on-guest-control-registers-debug-registers-and-msrs}
constexpr std::uint64_t bad_pat_bits(std::uint64_t pat) {
    std::uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        const auto type = static_cast<unsigned>(pat >> shift) & 0xffu;
        if (type > 7 || type == 2 || type == 3) {
            bits |= std::uint64_t{0xff} << shift;
        }
    }
    return bits;
}

/// Bits of a value of IA32_S_CET that no processor accepts: 9:6, those of a part of CET that this
/// processor lacks, and SUPPRESS (10) together with TRACKER (11).
constexpr std::uint64_t bad_s_cet_bits(const ProcessorDescription &cpu, std::uint64_t value) {
    std::uint64_t reserved = 0x3c0;
    reserved |= cpu.has(CpuFeature::shadow_stacks) ? 0u : 3u;
    reserved |= cpu.has(CpuFeature::branch_tracking) ? 0u : ~std::uint64_t{0x3c3};
    const std::uint64_t both = 0xc00;
    return (value & reserved) | ((value & both) == both ? both : 0);
}

/// Bits of IA32_SPEC_CTRL that no processor has. Which others a processor lacks is in CPUID, leaf
/// 7, and in IA32_ARCH_CAPABILITIES, which the description does not hold.
inline constexpr std::uint64_t spec_ctrl_reserved = 0xfffffffffffffa00;

/// Checks the four kinds of FRED registers of either state area.
constexpr void fred_state(
    Examination &x, Field64 config, const Field64 (&stacks)[3], const Field64 (&shadow_stacks)[3]) {
    std::uint64_t bits = (x.get(config) & 0x834u) | x.not_canonical(x.get(config));
    if (bits != 0) {
        x.fault(config, bits);
    }
    for (const Field64 stack : stacks) {
        bits = (x.get(stack) & 0x3fu) | x.not_canonical(x.get(stack));
        if (bits != 0) {
            x.fault(stack, bits);
        }
    }
    for (const Field64 stack : shadow_stacks) {
        bits = (x.get(stack) & 7u) | x.not_canonical(x.get(stack));
        if (bits != 0) {
            x.fault(stack, bits);
        }
    }
}

namespace host {

inline constexpr FailureClass bad = FailureClass::host_state;
inline constexpr const char *registers = "checks-on-host-control-registers-and-msrs";
inline constexpr const char *registers_newer = "+checks-on-host-control-registers-and-msrs";
inline constexpr const char *segments = "checks-on-host-segment-and-descriptor-table-registers";
inline constexpr const char *address_space = "checks-related-to-address-space-size";
inline constexpr const char *address_space_newer = "+checks-related-to-address-space-size";

inline constexpr Field16 selectors[] = {
    Field16::host_es_selector, Field16::host_cs_selector, Field16::host_ss_selector,
    Field16::host_ds_selector, Field16::host_fs_selector, Field16::host_gs_selector,
    Field16::host_tr_selector,
};

inline constexpr FieldNatural bases[] = {
    FieldNatural::host_fs_base,   FieldNatural::host_gs_base,   FieldNatural::host_tr_base,
    FieldNatural::host_gdtr_base, FieldNatural::host_idtr_base,
};

} // namespace host

/// The rules on host state, in the order of the SDM.
inline constexpr Rule host_state_rules[] = {
    rule<FieldNatural::host_cr0>(
        "H01", host::bad, "host CR0 must respect the fixed bits of VMX operation, except NW and CD",
        host::registers,
        [](Examination &x) {
            x.fixed(
                FieldNatural::host_cr0, x.cpu.vmx.cr0_fixed0, x.cpu.vmx.cr0_fixed1,
                Cr0::nw | Cr0::cd);
        }),

    rule<FieldNatural::host_cr4>(
        "H02", host::bad, "host CR4 must respect the fixed bits of VMX operation", host::registers,
        [](Examination &x) {
            x.fixed(FieldNatural::host_cr4, x.cpu.vmx.cr4_fixed0, x.cpu.vmx.cr4_fixed1);
        }),

    rule<FieldNatural::host_cr3>(
        "H03", host::bad,
        "host CR3 must not set bits beyond the physical-address width (with LAM, bits 62:61 may "
        "be 1)",
        host::registers,
        [](Examination &x) {
            if (x.cpu.physical_address_width == 0) {
                x.doubt(Undecided::processor);
            }
            const std::uint64_t lam =
                x.cpu.has(CpuFeature::linear_masking) ? std::uint64_t{3} << 61 : 0;
            x.zero(FieldNatural::host_cr3, x.cpu.bits_beyond_physical() & ~lam);
        }),

    rule<FieldNatural::host_cr4, FieldNatural::host_cr0>(
        "H04", host::bad, "host CR4.CET needs host CR0.WP", host::registers_newer,
        [](Examination &x) {
            if ((x.get(FieldNatural::host_cr4) & Cr4::cet) != 0 &&
                (x.get(FieldNatural::host_cr0) & Cr0::wp) == 0) {
                x.fault(FieldNatural::host_cr0, Cr0::wp);
            }
        }),

    rule<FieldNatural::host_sysenter_esp, FieldNatural::host_sysenter_eip>(
        "H05", host::bad, "host IA32_SYSENTER_ESP and IA32_SYSENTER_EIP must be canonical",
        host::registers,
        [](Examination &x) {
            x.canonical(FieldNatural::host_sysenter_esp);
            x.next();
            x.canonical(FieldNatural::host_sysenter_eip);
        }),

    rule<Field32::exit_controls, Field64::host_perf_global_ctrl>(
        "H06", host::bad,
        "with \"load IA32_PERF_GLOBAL_CTRL\", only bits of counters that exist may be 1",
        host::registers,
        [](Examination &x) {
            if (x.has(ExitControl::load_perf_global_ctrl)) {
                x.allowed(Field64::host_perf_global_ctrl, x.cpu.perf_global_ctrl_bits);
            }
        }),

    rule<Field32::exit_controls, Field64::host_pat>(
        "H07", host::bad,
        "with \"load IA32_PAT\", each byte of host IA32_PAT must be 0, 1, 4, 5, 6 or 7",
        host::registers,
        [](Examination &x) {
            if (x.has(ExitControl::load_pat)) {
                const std::uint64_t bits = bad_pat_bits(x.get(Field64::host_pat));
                if (bits != 0) {
                    x.fault(Field64::host_pat, bits);
                }
            }
        }),

    rule<Field32::exit_controls, Field64::host_efer>(
        "H08a", host::bad, "with \"load IA32_EFER\", reserved bits of host IA32_EFER must be 0",
        host::registers,
        [](Examination &x) {
            if (x.has(ExitControl::load_efer)) {
                x.allowed(Field64::host_efer, x.cpu.efer_bits);
            }
        }),

    rule<Field32::exit_controls, Field64::host_efer>(
        "H08b", host::bad,
        "with \"load IA32_EFER\", LMA and LME of host IA32_EFER must equal \"host address-space "
        "size\"",
        host::registers,
        [](Examination &x) {
            if (!x.has(ExitControl::load_efer)) {
                return;
            }
            const std::uint64_t wanted =
                x.has(ExitControl::host_address_space_size) ? Efer::lma | Efer::lme : 0;
            const std::uint64_t bits =
                (x.get(Field64::host_efer) ^ wanted) & (Efer::lma | Efer::lme);
            if (bits != 0) {
                x.fault(Field64::host_efer, bits);
            }
        }),

    rule<Field32::exit_controls, FieldNatural::host_s_cet>(
        "H09a", host::bad,
        "with \"load CET state\", host IA32_S_CET must be canonical, its reserved bits 0, and "
        "SUPPRESS and TRACKER not both 1",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(ExitControl::load_cet_state)) {
                const std::uint64_t value = x.get(FieldNatural::host_s_cet);
                const std::uint64_t bits = bad_s_cet_bits(x.cpu, value) | x.not_canonical(value);
                if (bits != 0) {
                    x.fault(FieldNatural::host_s_cet, bits);
                }
            }
        }),

    rule<Field32::exit_controls, FieldNatural::host_ssp>(
        "H09b", host::bad,
        "with \"load CET state\", host SSP must be canonical and a multiple of 4",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(ExitControl::load_cet_state)) {
                const std::uint64_t value = x.get(FieldNatural::host_ssp);
                const std::uint64_t bits = (value & 3u) | x.not_canonical(value);
                if (bits != 0) {
                    x.fault(FieldNatural::host_ssp, bits);
                }
            }
        }),

    rule<Field32::exit_controls, FieldNatural::host_interrupt_ssp_table>(
        "H09c", host::bad,
        "with \"load CET state\", host IA32_INTERRUPT_SSP_TABLE_ADDR must be canonical",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(ExitControl::load_cet_state)) {
                x.canonical(FieldNatural::host_interrupt_ssp_table);
            }
        }),

    rule<Field32::exit_controls, Field64::host_pkrs>(
        "H10", host::bad, "with \"load PKRS\", bits 63:32 of host IA32_PKRS must be 0",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(ExitControl::load_pkrs)) {
                x.zero(Field64::host_pkrs, 0xffffffff00000000);
            }
        }),

    rule<
        Field16::host_es_selector, Field16::host_cs_selector, Field16::host_ss_selector,
        Field16::host_ds_selector, Field16::host_fs_selector, Field16::host_gs_selector,
        Field16::host_tr_selector>(
        "H11", host::bad, "RPL (bits 1:0) and TI (bit 2) of each host selector must be 0",
        host::segments,
        [](Examination &x) {
            for (const Field16 selector : host::selectors) {
                x.zero(selector, 7);
                x.next();
            }
        }),

    rule<Field16::host_cs_selector, Field16::host_tr_selector>(
        "H12", host::bad, "the host CS and TR selectors must not be 0", host::segments,
        [](Examination &x) {
            for (const Field16 selector : {Field16::host_cs_selector, Field16::host_tr_selector}) {
                if (x.get(selector) == 0) {
                    x.fault(selector, 0xffff);
                }
                x.next();
            }
        }),

    rule<Field16::host_ss_selector, Field32::exit_controls>(
        "H13", host::bad, "the host SS selector must not be 0 without \"host address-space size\"",
        host::segments,
        [](Examination &x) {
            if (!x.has(ExitControl::host_address_space_size) &&
                x.get(Field16::host_ss_selector) == 0) {
                x.fault(Field16::host_ss_selector, 0xffff);
            }
        }),

    rule<
        FieldNatural::host_fs_base, FieldNatural::host_gs_base, FieldNatural::host_tr_base,
        FieldNatural::host_gdtr_base, FieldNatural::host_idtr_base>(
        "H14", host::bad, "the host bases of FS, GS, TR, GDTR and IDTR must be canonical",
        host::segments,
        [](Examination &x) {
            for (const FieldNatural base : host::bases) {
                x.canonical(base);
                x.next();
            }
        }),

    rule<Field32::exit_controls, Field32::entry_controls>(
        "H15", host::bad,
        "\"host address-space size\" must be 1 exactly if the host is in IA-32e mode now; outside "
        "it, \"IA-32e mode guest\" must be 0 as well",
        host::address_space,
        [](Examination &x) {
            if (x.has(ExitControl::host_address_space_size) != x.now.ia32e_mode) {
                x.fault(Field32::exit_controls, control_bit(ExitControl::host_address_space_size));
            }
            x.next();
            if (!x.now.ia32e_mode) {
                x.forbid(EntryControl::ia32e_mode_guest);
            }
        }),

    rule<
        Field32::exit_controls, Field32::entry_controls, FieldNatural::host_cr4,
        FieldNatural::host_rip>(
        "H16a", host::bad,
        "without \"host address-space size\", \"IA-32e mode guest\", host CR4.PCIDE and bits "
        "63:32 of host RIP must be 0",
        host::address_space,
        [](Examination &x) {
            const auto applies = [&x] { return !x.has(ExitControl::host_address_space_size); };
            if (applies()) {
                x.forbid(EntryControl::ia32e_mode_guest);
            }
            x.next();
            if (applies()) {
                x.zero(FieldNatural::host_cr4, Cr4::pcide);
            }
            x.next();
            if (applies()) {
                x.zero(FieldNatural::host_rip, 0xffffffff00000000);
            }
        }),

    rule<
        Field32::exit_controls, FieldNatural::host_cr4, FieldNatural::host_s_cet,
        FieldNatural::host_ssp>(
        "H16b", host::bad,
        "without \"host address-space size\", host CR4.FRED must be 0, and with \"load CET state\" "
        "bits 63:32 of host IA32_S_CET and host SSP",
        host::address_space_newer,
        [](Examination &x) {
            if (!x.has(ExitControl::host_address_space_size)) {
                x.zero(FieldNatural::host_cr4, Cr4::fred);
            }
            for (const FieldNatural field : {FieldNatural::host_s_cet, FieldNatural::host_ssp}) {
                x.next();
                if (!x.has(ExitControl::host_address_space_size) &&
                    x.has(ExitControl::load_cet_state)) {
                    x.zero(field, 0xffffffff00000000);
                }
            }
        }),

    rule<Field32::exit_controls, FieldNatural::host_cr4, FieldNatural::host_rip>(
        "H17", host::bad,
        "with \"host address-space size\", host CR4.PAE must be 1 and host RIP canonical",
        host::address_space,
        [](Examination &x) {
            if (x.has(ExitControl::host_address_space_size) &&
                (x.get(FieldNatural::host_cr4) & Cr4::pae) == 0) {
                x.fault(FieldNatural::host_cr4, Cr4::pae);
            }
            x.next();
            if (x.has(ExitControl::host_address_space_size)) {
                x.canonical(FieldNatural::host_rip);
            }
        }),

    rule<
        Field32::exit_controls, Field64::secondary_exit_controls, Field64::host_fred_config,
        Field64::host_fred_rsp1, Field64::host_fred_rsp2, Field64::host_fred_rsp3,
        Field64::host_fred_ssp1, Field64::host_fred_ssp2, Field64::host_fred_ssp3>(
        "H18", host::bad,
        "with \"load FRED\", the host FRED registers must be canonical and their reserved bits 0 "
        "(config 11, 5, 4, 2; stacks 5:0; shadow stacks 2:0)",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(SecondaryExitControl::load_fred)) {
                fred_state(
                    x, Field64::host_fred_config,
                    {Field64::host_fred_rsp1, Field64::host_fred_rsp2, Field64::host_fred_rsp3},
                    {Field64::host_fred_ssp1, Field64::host_fred_ssp2, Field64::host_fred_ssp3});
            }
        }),

    rule<Field32::exit_controls, Field64::secondary_exit_controls, Field64::host_spec_ctrl>(
        "H19", host::bad,
        "with \"load IA32_SPEC_CTRL\", bits 9 and 63:11 of host IA32_SPEC_CTRL must be 0",
        host::registers_newer,
        [](Examination &x) {
            if (x.has(SecondaryExitControl::load_spec_ctrl)) {
                x.zero(Field64::host_spec_ctrl, spec_ctrl_reserved);
            }
        }),
};

} // namespace vtx::entry_checks
