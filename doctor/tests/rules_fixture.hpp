// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A processor that supports everything, and VMCSs to break on it.
#pragma once

#include "../differential/known_good.hpp"
#include "doctor/rules/entry_checks.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

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

// What tables of cases are written with.

using P = Patient;

inline constexpr auto L = GuestKind::long_mode;
inline constexpr auto A = GuestKind::pae;
inline constexpr auto R = GuestKind::real_mode;
inline constexpr auto V = GuestKind::virtual_8086;

inline void nothing(P &) {}

template <VmcsField F> constexpr std::uint32_t e(F field) { return field_encoding(field); }

inline constexpr std::uint64_t beyond40 = ~((std::uint64_t{1} << 40) - 1);
inline constexpr std::uint64_t high32 = 0xffffffff00000000;
inline constexpr auto event = Field32::entry_interruption_information;

// An injected event: valid, of a type, with a vector.
constexpr std::uint64_t inject(unsigned type, unsigned vector, unsigned more = 0) {
    return (1u << 31) | (type << 8) | vector | more;
}

template <class C> void use_secondary(P &p, C control) {
    p.add(PrimaryControl::activate_secondary_controls);
    p.add(control);
}

inline void use_apic(P &p) {
    p.add(PrimaryControl::use_tpr_shadow);
    p.memory[0x100080] = 0x50;
}

inline void use_posted(P &p) {
    use_apic(p);
    use_secondary(p, SecondaryControl::virtual_interrupt_delivery);
    p.add(PinControl::external_interrupt_exiting);
    p.add(ExitControl::acknowledge_interrupt_on_exit);
    p.add(PinControl::process_posted_interrupts);
}

inline void use_tertiary(P &p, TertiaryControl control) {
    p.add(PrimaryControl::activate_tertiary_controls);
    p.add(control);
}

inline void use_timer(P &p) {
    use_apic(p);
    use_secondary(p, SecondaryControl::virtual_interrupt_delivery);
    p.add(PinControl::external_interrupt_exiting);
    p.drop(PrimaryControl::rdtsc_exiting);
    use_tertiary(p, TertiaryControl::apic_timer_virtualization);
}

// A host outside IA-32e mode.
inline void legacy_host(P &p) {
    p.now.ia32e_mode = false;
    p.drop(ExitControl::host_address_space_size);
    p.set(Field64::host_efer, 0);
}

inline void list_of_msrs(P &p) {
    p.set(Field64::entry_msr_load_address, 0x110000);
    p.set(Field32::entry_msr_load_count, 2);
    p.memory[0x110000] = 0x174;
    p.memory[0x110010] = 0xc0000082;
}

inline void fred_guest(P &p) {
    p.cpu.add(CpuFeature::flexible_returns);
    p.with(FieldNatural::guest_cr4, Cr4::fred);
}

/// The words of a text, a set of rules as cases name them.
inline std::set<std::string> words(const char *text) {
    std::set<std::string> result;
    std::string word;
    for (const char *at = text;; ++at) {
        if (*at == ' ' || *at == 0) {
            result.insert(word);
            word.clear();
            if (*at == 0) {
                return result;
            }
        } else {
            word += *at;
        }
    }
}

/// The ids of the rules that are broken.
inline std::set<std::string> broken_rules(const entry_checks::Verdict &verdict) {
    std::set<std::string> result;
    for (std::size_t i = 0; i < entry_checks::rule_count; ++i) {
        if (verdict.is_broken(i)) {
            result.insert(entry_checks::all_rules[i].id);
        }
    }
    return result;
}

} // namespace vtx::testing
