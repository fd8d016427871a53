// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Rules on the list of MSRs that a VM entry loads. An entry that breaks one makes the VM entry
/// fail with exit reason 34 and the entry's number, counted from 1, as the exit qualification.
/// The list is memory: where that was not given, these rules stay undecided.
/// \sdm{loading-msrs-in-vm-entry}
#pragma once

#include "doctor/rules/examination.hpp"
#include "doctor/rules/host_state.hpp"
#include "x86/msr.hpp"

namespace vtx::entry_checks {

namespace msr_list {

inline constexpr FailureClass bad = FailureClass::msr_loading;
inline constexpr const char *sdm = "loading-msrs-in-vm-entry";

/// Entries that are examined; more than IA32_VMX_MISC can recommend.
inline constexpr std::uint32_t most = 4096;

/// What is known of a WRMSR with a certain value.
enum class Write : std::uint8_t {
    works,   ///< it does not fault
    faults,  ///< it is \#GP
    unknown, ///< neither is known here
};

/// Whether WRMSR of `value` to an MSR would fault at CPL 0, for the MSRs that these rules know.
constexpr Write write(Examination &x, std::uint32_t index, std::uint64_t value) {
    const auto fault_if = [](bool bad_value) { return bad_value ? Write::faults : Write::works; };
    switch (static_cast<Msr>(index)) {
    case Msr::pat:
        return fault_if(bad_pat_bits(value) != 0);
    case Msr::sysenter_esp:
    case Msr::sysenter_eip:
    case Msr::lstar:
    case Msr::cstar:
    case Msr::kernel_gs_base:
        return fault_if(x.not_canonical(value) != 0);
    case Msr::sysenter_cs:
    case Msr::star:
        return Write::works;
    case Msr::fmask: // the SDM does not say whether its reserved half faults
        return (value >> 32) != 0 ? Write::unknown : Write::works;
    case Msr::efer:
        return (value & ~x.cpu.efer_bits) != 0 ? Write::faults : Write::unknown;
    default:
        return Write::unknown;
    }
}

} // namespace msr_list

/// Applies `check(position, first word, value)` to each entry of the list.
template <class Check> constexpr void each_msr_entry(Examination &x, Check &&check) {
    const std::uint32_t count = x.get(Field32::entry_msr_load_count);
    if (count == 0) {
        return;
    }
    const std::uint64_t list = x.get(Field64::entry_msr_load_address);
    if (x.in_doubt() || (list & 0xfu) != 0 || (list & x.cpu.bits_beyond_address_width()) != 0) {
        return; // unknown, or N08 is broken and nothing is loaded
    }
    for (std::uint32_t i = 0; i < count && i < msr_list::most; ++i) {
        const std::uint64_t word = x.memory(list + std::uint64_t{16} * i);
        const std::uint64_t value = x.memory(list + std::uint64_t{16} * i + 8);
        if (x.in_doubt()) {
            return;
        }
        check(i + 1, word, value);
    }
}

/// The rules on the MSR-load list, in the order of the SDM.
inline constexpr Rule msr_loading_rules[] = {
    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M01", msr_list::bad,
        "a VM entry cannot load IA32_FS_BASE or IA32_GS_BASE, which are fields of the VMCS",
        msr_list::sdm,
        [](Examination &x) {
            each_msr_entry(x, [&x](std::uint32_t position, std::uint64_t word, std::uint64_t) {
                const auto msr = static_cast<Msr>(word);
                if (msr == Msr::fs_base || msr == Msr::gs_base) {
                    x.fault_entry(position, word, 0xffffffff);
                }
            });
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M02", msr_list::bad, "a VM entry cannot load an APIC register, MSRs 0x800 to 0x8ff",
        msr_list::sdm,
        [](Examination &x) {
            each_msr_entry(x, [&x](std::uint32_t position, std::uint64_t word, std::uint64_t) {
                if ((word & 0xffffff00) == 0x800) {
                    x.fault_entry(position, word, 0xffffff00);
                }
            });
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M03", msr_list::bad, "outside SMM a VM entry cannot load IA32_SMM_MONITOR_CTL",
        msr_list::sdm,
        [](Examination &x) {
            each_msr_entry(x, [&x](std::uint32_t position, std::uint64_t word, std::uint64_t) {
                if (!x.now.in_smm && static_cast<Msr>(word) == Msr::smm_monitor_ctl) {
                    x.fault_entry(position, word, 0xffffffff);
                }
            });
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M04", msr_list::bad,
        "a VM entry cannot load an MSR that its model reserves, as IA32_BIOS_UPDT_TRIG",
        msr_list::sdm,
        [](Examination &x) {
            each_msr_entry(x, [&x](std::uint32_t position, std::uint64_t word, std::uint64_t) {
                if (static_cast<Msr>(word) == Msr::bios_updt_trig) {
                    x.fault_entry(position, word, 0xffffffff);
                }
            });
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M05", msr_list::bad, "bits 63:32 of the first half of an MSR-load entry must be 0",
        msr_list::sdm,
        [](Examination &x) {
            each_msr_entry(x, [&x](std::uint32_t position, std::uint64_t word, std::uint64_t) {
                if ((word >> 32) != 0) {
                    x.fault_entry(position, word, word & 0xffffffff00000000);
                }
            });
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "M06", msr_list::bad, "an MSR must be loaded with a value that WRMSR accepts at CPL 0",
        msr_list::sdm,
        [](Examination &x) {
            bool unknown = false;
            each_msr_entry(x, [&](std::uint32_t position, std::uint64_t word, std::uint64_t value) {
                switch (msr_list::write(x, static_cast<std::uint32_t>(word), value)) {
                case msr_list::Write::faults:
                    x.fault_entry(position, word, 0xffffffff);
                    break;
                case msr_list::Write::unknown:
                    unknown = true;
                    break;
                case msr_list::Write::works:
                    break;
                }
            });
            if (unknown) {
                x.doubt(Undecided::msr);
            }
        }),

    rule<Field32::entry_msr_load_count>(
        "M07", FailureClass::undefined,
        "the MSR-load list should not be longer than IA32_VMX_MISC recommends, or the outcome is "
        "undefined",
        "vm-entry-controls-for-msrs",
        [](Examination &x) {
            const std::uint32_t count = x.get(Field32::entry_msr_load_count);
            if (count > x.cpu.vmx.msr_list_max()) {
                x.fault(Field32::entry_msr_load_count, count);
            }
        }),
};

} // namespace vtx::entry_checks
