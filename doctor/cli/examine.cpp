// SPDX-License-Identifier: GPL-2.0-only
// Examines a dump: what is broken for certain, and what may be on some processors.
#include "doctor.hpp"

#include <algorithm>
#include <iterator>

namespace doctor {

namespace {

using namespace vtx::entry_checks;
using vtx::ProcessorDescription;

/// A way in which processors are less than the one that is assumed.
struct Variant {
    const char *processors;
    bool nearly_all; ///< of those in use
    void (*change)(ProcessorDescription &cpu);
};

template <unsigned bit> void without_cr4(ProcessorDescription &cpu) {
    cpu.vmx.cr4_fixed1 &= ~(std::uint64_t{1} << bit);
}

template <vtx::CpuFeature feature> void without(ProcessorDescription &cpu) {
    cpu.features &= ~(1u << static_cast<unsigned>(feature));
}

template <std::uint8_t bits> void physical_width(ProcessorDescription &cpu) {
    cpu.physical_address_width = bits;
}

using vtx::CpuFeature;

// The first that finds something is the one that is told.
constexpr Variant variants[] = {
    {"with 48-bit linear addresses", true,
     [](ProcessorDescription &cpu) { cpu.linear_address_width = 48; }},
    {"with bit 56 of IA32_VMX_BASIC clear", true,
     [](ProcessorDescription &cpu) { cpu.vmx.basic &= ~(std::uint64_t{1} << 56); }},
    {"without SMX", false, without_cr4<14>},
    {"with 46 address bits", false, physical_width<46>},
    {"with 39 address bits", false, physical_width<39>},
    {"with 36 address bits", false, physical_width<36>},
    {"without 5-level paging", false, without_cr4<12>},
    {"without CET", false,
     [](ProcessorDescription &cpu) {
         without_cr4<23>(cpu);
         without<CpuFeature::shadow_stacks>(cpu);
         without<CpuFeature::branch_tracking>(cpu);
     }},
    {"without LAM", false,
     [](ProcessorDescription &cpu) {
         without_cr4<28>(cpu);
         without<CpuFeature::linear_masking>(cpu);
     }},
    {"without FRED", false,
     [](ProcessorDescription &cpu) {
         without_cr4<32>(cpu);
         without<CpuFeature::flexible_returns>(cpu);
     }},
    {"without user interrupts", false, without_cr4<25>},
    {"without protection keys for supervisor pages", false, without_cr4<24>},
    {"without protection keys", false, without_cr4<22>},
    {"without SMAP", false, without_cr4<21>},
    {"without SMEP", false, without_cr4<20>},
    {"without PCIDs", false, without_cr4<17>},
    {"without UMIP", false, without_cr4<11>},
    {"without RTM", false,
     [](ProcessorDescription &cpu) {
         without<CpuFeature::restricted_tsx>(cpu);
         cpu.debugctl_bits &= ~std::uint64_t{0x8000};
     }},
    {"without traps for bus locks", false,
     [](ProcessorDescription &cpu) {
         without<CpuFeature::bus_lock_trap>(cpu);
         cpu.debugctl_bits &= ~std::uint64_t{4};
     }},
    {"without SGX", false, without<CpuFeature::enclaves>},
    {"that take no instruction length of 0 (bit 30 of IA32_VMX_MISC)", false,
     [](ProcessorDescription &cpu) { cpu.vmx.misc &= ~(std::uint64_t{1} << 30); }},
    {"without that activity state (bits 8:6 of IA32_VMX_MISC)", false,
     [](ProcessorDescription &cpu) { cpu.vmx.misc &= ~std::uint64_t{0x1c0}; }},
    {"without accessed and dirty flags for EPT", false,
     [](ProcessorDescription &cpu) { cpu.vmx.ept_vpid &= ~(std::uint64_t{1} << 21); }},
    {"without 5-level EPT", false,
     [](ProcessorDescription &cpu) { cpu.vmx.ept_vpid &= ~(std::uint64_t{1} << 7); }},
    {"without uncacheable EPT structures", false,
     [](ProcessorDescription &cpu) { cpu.vmx.ept_vpid &= ~(std::uint64_t{1} << 8); }},
    {"with four general and three fixed performance counters", false,
     [](ProcessorDescription &cpu) { cpu.perf_global_ctrl_bits = 0x70000000f; }},
    {"without the TRUE capability MSRs (bit 55 of IA32_VMX_BASIC clear)", false,
     [](ProcessorDescription &cpu) {
         cpu.vmx.primary.must_be_1 |= 0x0401e172;
         cpu.vmx.exit.must_be_1 |= 0x00036dff;
         cpu.vmx.entry.must_be_1 |= 0x000011ff;
     }},
};

bool read_memory(const void *context, std::uint64_t address, std::uint64_t &value) {
    const auto &memory = static_cast<const Dump *>(context)->memory;
    const auto word = memory.find(address & ~std::uint64_t{7});
    if (word == memory.end()) {
        return false;
    }
    value = word->second >> (8 * (address & 7));
    return true;
}

/// Adds what `verdict` finds on such processors.
void add_possible(Examined &examined, const Verdict &verdict, const char *processors) {
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        const Rule &rule = all_rules[finding.rule];
        const bool told = std::any_of(
            examined.possible.begin(), examined.possible.end(), [&](const Possible &other) {
                return other.rule == finding.rule && other.field == finding.field;
            });
        if (rule.failure != FailureClass::suspicious && !told &&
            examined.observed.can_be(rule.failure)) {
            examined.possible.push_back(
                {finding.rule, finding.field, finding.value, finding.bits,
                 std::string{"on processors "} + processors});
        }
    }
}

/// Adds what the exit qualification of reason 33 names, if its rules could not be decided.
void add_by_qualification(Examined &examined) {
    const Observed &observed = examined.observed;
    std::uint32_t field = 0;
    switch (static_cast<vtx::EntryFailure>(observed.qualification)) {
    case vtx::EntryFailure::pdpte_loading:
        field = vtx::field_encoding(vtx::FieldNatural::guest_cr3);
        break;
    case vtx::EntryFailure::nmi_injection:
        field = vtx::field_encoding(vtx::Field32::entry_interruption_information);
        break;
    case vtx::EntryFailure::vmcs_link_pointer:
        field = vtx::field_encoding(vtx::Field64::vmcs_link_pointer);
        break;
    default:
        return;
    }
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (static_cast<std::uint64_t>(all_rules[i].qualification) == observed.qualification &&
            examined.verdict.undecided[i] != Undecided::no) {
            examined.possible.push_back(
                {i, field, examined.dump->vmcs.find(field), 0,
                 "by the exit qualification " + std::to_string(observed.qualification) + ", " +
                     vtx::entry_failure_text(observed.qualification)});
        }
    }
}

} // namespace

Observed observe(const vtx::VmcsSnapshot &vmcs) {
    using vtx::field_encoding;
    Observed observed;
    const auto reason = vmcs.find(field_encoding(vtx::Field32::exit_reason));
    const auto error = vmcs.find(field_encoding(vtx::Field32::vm_instruction_error));
    if (reason && (*reason >> 31) != 0) {
        const auto more = vmcs.find(field_encoding(vtx::FieldNatural::exit_qualification));
        observed.exit_reason = static_cast<unsigned>(*reason & 0xffff);
        observed.has_qualification = more.has_value();
        observed.qualification = more.value_or(0);
    } else if (error && (*error == 7 || *error == 8)) {
        observed.error = static_cast<unsigned>(*error);
    }
    return observed;
}

bool Observed::can_be(FailureClass failure) const {
    switch (failure) {
    case FailureClass::controls:
        return exit_reason == 0 && error != 8;
    case FailureClass::host_state:
        return exit_reason == 0 && error != 7;
    case FailureClass::guest_state:
        return error == 0 && (exit_reason == 0 || exit_reason == 33);
    case FailureClass::msr_loading:
        return error == 0 && (exit_reason == 0 || exit_reason == 34);
    default:
        return true;
    }
}

Examined examine(const Dump &dump, const Processor &processor) {
    Examined examined{&dump, &processor, {}, observe(dump.vmcs), {}};
    vtx::EntrySituation situation;
    situation.current_vmcs = dump.current_vmcs;
    situation.ia32e_mode = dump.host_ia32e_mode.value_or(true);
    if (!dump.memory.empty()) {
        situation.memory = {read_memory, &dump};
    }
    ProcessorDescription cpu = processor.description;
    apply(dump.processor, cpu);
    vtx::entry_checks::examine(dump.vmcs, cpu, situation, examined.verdict);
    if (!dump.missing.empty()) {
        examined.verdict.prediction.enters = examined.verdict.prediction.certain = false;
    }
    if (examined.count(Class::broken) != 0) {
        return examined;
    }
    if (examined.observed.exit_reason == 33) {
        add_by_qualification(examined);
    }
    for (const Variant &variant : variants) {
        if (!processor.exact && (variant.nearly_all || examined.observed.failed())) {
            ProcessorDescription other = processor.description;
            variant.change(other);
            apply(dump.processor, other); // what the dump says of its processor is so
            Verdict verdict;
            vtx::entry_checks::examine(dump.vmcs, other, situation, verdict);
            add_possible(examined, verdict, variant.processors);
        }
    }
    return examined;
}

std::size_t Examined::count(Class which) const {
    if (which == Class::possible) {
        return possible.size();
    }
    std::size_t suspicious = 0;
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        suspicious += class_of(verdict.findings[i]) == Class::suspicious ? 1u : 0u;
    }
    return which == Class::suspicious ? suspicious
                                      : std::size_t{verdict.count} + verdict.dropped - suspicious;
}

Class class_of(const Finding &finding) {
    return all_rules[finding.rule].failure == FailureClass::suspicious ? Class::suspicious
                                                                       : Class::broken;
}

} // namespace doctor
