// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which EPT entry is at fault? The processor says only for which address.
#pragma once

#include <cstdint>

#include "doctor/rules/log_ept_walk.hpp"
#include "vcpu.hpp"
#include "vm.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// Walks EPT as the processor did, and logs each entry and what is wrong. Not inside a scope: it
/// prints.
inline void explain_ept(const Vcpu &vcpu, const Vm &vm) {
    const PhysicalMemory tables{
        [](const void *memory, std::uint64_t address, std::uint64_t &value) {
            const std::uint64_t *const entry =
                static_cast<const GuestMemory *>(memory)->ept_entry(PhysicalAddress{address});
            value = entry != nullptr ? *entry : 0;
            return entry != nullptr;
        },
        &vm.memory};
    const ProcessorDescription processor = describe_processor(
        vcpu.vmx, [](std::uint32_t leaf, std::uint32_t subleaf) { return cpuid(leaf, subleaf); });
    log_ept_walk(walk_ept(vcpu.ept_pointer, vm.end.address, processor, tables));
}

} // namespace vtx
