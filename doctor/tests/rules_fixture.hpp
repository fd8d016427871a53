// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A processor that supports everything, and VMCSs to break on it.
#pragma once

#include "../differential/known_good.hpp"
#include "doctor/rules/entry_checks.hpp"

#include <cstdint>
#include <map>

namespace vtx::testing {

/// A processor with every control and every feature that a rule knows.
constexpr ProcessorDescription rich_processor() {
    ProcessorDescription cpu;
    VmxCapabilities &vmx = cpu.vmx;
    vmx.basic =
        0x11 | (std::uint64_t{0x1000} << 32) | (std::uint64_t{6} << 50) | (std::uint64_t{1} << 55);
    vmx.pin = Allowed{0x16, 0xff};
    vmx.primary = Allowed{0x04006172, 0xfffbfffe};
    vmx.secondary = Allowed{0, 0xffffffff};
    vmx.tertiary = 0x13ff;
    vmx.exit = Allowed{0x36dfb, 0xffffffff};
    vmx.secondary_exit = 0xf;
    vmx.entry = Allowed{0x11fb, 0x03ffffff};
    vmx.misc = 0x1e0 | (4u << 16) | (1u << 14);
    vmx.cr0_fixed0 = 0x80000021;
    vmx.cr0_fixed1 = 0xffffffff;
    vmx.cr4_fixed0 = 0x2000;
    vmx.cr4_fixed1 = 0x11bff7fff;
    vmx.ept_vpid = (1u << 6) | (1u << 14) | (1u << 16) | (1u << 20);
    vmx.vm_functions = 1;
    cpu.physical_address_width = 40;
    cpu.linear_address_width = 48;
    cpu.add(CpuFeature::long_mode);
    cpu.add(CpuFeature::shadow_stacks);
    cpu.add(CpuFeature::branch_tracking);
    cpu.efer_bits = efer_bits_intel64;
    cpu.debugctl_bits = debugctl_bits_any;
    cpu.perf_global_ctrl_bits = 0x70000000f;
    return cpu;
}

/// A VMCS, a processor, its state, and a little memory.
struct Patient {
    VmcsSnapshot vmcs;
    ProcessorDescription cpu = rich_processor();
    EntrySituation now;
    std::map<std::uint64_t, std::uint64_t> memory;

    explicit Patient(GuestKind kind = GuestKind::long_mode, bool ept = true) {
        make_known_good(vmcs, cpu, kind, ept, Surroundings{});
        vmcs.set(FieldNatural::host_gs_base, std::uint64_t{0xffff888000000000});
        vmcs.set(FieldNatural::host_gdtr_base, std::uint64_t{0xfffffe0000001000});
        vmcs.set(FieldNatural::host_idtr_base, std::uint64_t{0xfffffe0000000000});
        now.current_vmcs = 0x200000;
        now.memory.read = [](const void *context, std::uint64_t address, std::uint64_t &value) {
            const auto &self = *static_cast<const Patient *>(context);
            const auto found = self.memory.find(address);
            value = found == self.memory.end() ? 0 : found->second;
            return true;
        };
    }

    /// Changes a control word.
    template <Control C> void add(C control) {
        const auto field = control_field(control);
        vmcs.set(field, static_cast<control_word_t<C>>(vmcs.get(field) | control_bit(control)));
    }
    template <Control C> void drop(C control) {
        const auto field = control_field(control);
        vmcs.set(field, static_cast<control_word_t<C>>(vmcs.get(field) & ~control_bit(control)));
    }
    /// Sets and clears bits of a field.
    template <VmcsField F> void set(F field, std::uint64_t value) {
        vmcs.set(field_encoding(field), value);
    }
    template <VmcsField F> void with(F field, std::uint64_t bits) {
        set(field, vmcs.get(field) | bits);
    }
    template <VmcsField F> void without(F field, std::uint64_t bits) {
        set(field, vmcs.get(field) & ~bits);
    }

    entry_checks::Verdict verdict() {
        now.memory.context = this;
        return entry_checks::examine(vmcs, cpu, now);
    }
};

} // namespace vtx::testing
