// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the runner must know beside the cases: the processor, the rules, the deviations.
#pragma once

#include "bare_metal.hpp"
#include "deviations.hpp"

#include "doctor/rules/entry_checks.hpp"

namespace vtx::testing {

/// The processor, line by line as vmcs-doctor --cpu reads it.
inline void print_processor(const ProcessorDescription &cpu) {
    const VmxCapabilities &vmx = cpu.vmx;
    const auto both = [](Allowed allowed) {
        return (std::uint64_t{allowed.may_be_1} << 32) | allowed.must_be_1;
    };
    print_value("P IA32_VMX_BASIC", vmx.basic);
    print_value("P IA32_VMX_TRUE_PINBASED_CTLS", both(vmx.pin));
    print_value("P IA32_VMX_TRUE_PROCBASED_CTLS", both(vmx.primary));
    print_value("P IA32_VMX_PROCBASED_CTLS2", both(vmx.secondary));
    print_value("P IA32_VMX_TRUE_EXIT_CTLS", both(vmx.exit));
    print_value("P IA32_VMX_TRUE_ENTRY_CTLS", both(vmx.entry));
    print_value("P IA32_VMX_MISC", vmx.misc);
    print_value("P IA32_VMX_CR0_FIXED0", vmx.cr0_fixed0);
    print_value("P IA32_VMX_CR0_FIXED1", vmx.cr0_fixed1);
    print_value("P IA32_VMX_CR4_FIXED0", vmx.cr4_fixed0);
    print_value("P IA32_VMX_CR4_FIXED1", vmx.cr4_fixed1);
    print_value("P IA32_VMX_EPT_VPID_CAP", vmx.ept_vpid);
    print_value("P IA32_VMX_VMFUNC", vmx.vm_functions);
    print_value("P MAXPHYADDR", cpu.physical_address_width);
    print_value("P LINEAR_ADDRESS_WIDTH", cpu.linear_address_width);
    print_value("P IA32_EFER_BITS", cpu.efer_bits);
    print_value("P IA32_DEBUGCTL_BITS", cpu.debugctl_bits);
    print_value("P IA32_PERF_GLOBAL_CTRL_BITS", cpu.perf_global_ctrl_bits);
    print("P CPU_FEATURES =");
    for (unsigned i = 0; i < sizeof(cpu_feature_names) / sizeof(cpu_feature_names[0]); ++i) {
        if (((cpu.features >> i) & 1u) != 0) {
            print(' ');
            print(cpu_feature_names[i]);
        }
    }
    print('\n');
}

/// Every rule, and every known deviation, with 1 for those that are listed for this processor.
inline void print_tables(Emulated emulated) {
    for (const entry_checks::Rule &rule : entry_checks::all_rules) {
        print("R ");
        print(rule.id);
        print('\t');
        print(entry_checks::failure_name(rule.failure));
        print('\t');
        print(rule.must);
        print('\n');
    }
    const auto deviation = [](const char *kind, const char *rule, bool here, const char *what) {
        print("D ");
        print(kind);
        print('\t');
        print(rule);
        print(here ? "\t1\t" : "\t0\t");
        print(what);
        print('\n');
    };
    for (const Omission &one : omissions) {
        deviation("omits", one.rule, is_listed(one, emulated), one.what);
    }
    for (const Addition &one : additions) {
        deviation("adds", one.rule, is_listed(one, emulated), one.what);
    }
    deviation(
        "qualifies", "I05", true,
        "an NMI is refused while STI blocks interrupts, with exit qualification 0 where the SDM "
        "has 3");
}

} // namespace vtx::testing
