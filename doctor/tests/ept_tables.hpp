// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// EPT paging structures to break: four entries that map one 4-KByte page, and a processor with
/// everything that EPT has in the pinned edition of the SDM.
#pragma once

#include "doctor/rules/ept_walk.hpp"

#include <cstdint>
#include <map>

namespace vtx::testing {

/// Tables at 0x100000 (EPT PML4 table) to 0x103000 (EPT page table); their entries 1, 2, 3 and 4
/// translate guest_physical to 0x5567.
struct EptTables {
    static constexpr std::uint64_t eptp = 0x10001e;
    static constexpr std::uint64_t guest_physical = 0x8080604567;

    ProcessorDescription cpu;
    std::map<std::uint64_t, std::uint64_t> memory; // the rest cannot be read

    EptTables() {
        cpu.physical_address_width = 40;
        for (const EptVpidCapability capability :
             {EptVpidCapability::execute_only_translations, EptVpidCapability::page_walk_length_4,
              EptVpidCapability::pages_2m, EptVpidCapability::pages_1g}) {
            cpu.vmx.ept_vpid |= control_bit(capability);
        }
        for (unsigned level = 2; level <= 4; ++level) {
            entry(level) = table(level - 1) | 7;
        }
        entry(1) = 0x5000 | (6u << 3) | 7;
    }

    /// The address of the table at a level.
    static constexpr std::uint64_t table(unsigned level) { return 0x100000 + 0x1000 * (4 - level); }

    /// The address of the entry that the walk uses at a level.
    static constexpr std::uint64_t entry_address(unsigned level) {
        return table(level) + 8 * (5 - level);
    }

    /// That entry.
    std::uint64_t &entry(unsigned level) { return memory[entry_address(level)]; }

    EptWalk walk(std::uint64_t pointer = eptp, std::uint64_t address = guest_physical) const {
        PhysicalMemory reader;
        reader.context = this;
        reader.read = [](const void *context, std::uint64_t at, std::uint64_t &value) {
            const auto &self = *static_cast<const EptTables *>(context);
            const auto found = self.memory.find(at);
            if (found == self.memory.end()) {
                return false;
            }
            value = found->second;
            return true;
        };
        return walk_ept(pointer, address, cpu, reader);
    }
};

} // namespace vtx::testing
