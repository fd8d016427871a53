// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a hypervisor may have changed on a processor and must have put back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "x86/control_registers.hpp"
#include "x86/descriptor_tables.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The state of one logical processor that does not belong to the task at hand: two snapshots of
/// the same processor are equal, whatever ran there in between, unless somebody left a mess.
/// Not in it: TR's limit, which software cannot read, and IA32_DEBUGCTL, which perf may switch.
class HostSnapshot {
public:
    /// Takes it on this processor. Interrupts are off.
    static HostSnapshot take() {
        HostSnapshot snapshot;
        std::size_t next = 0;
        const DescriptorTableRegister gdtr = sgdt(), idtr = sidt();

        // Linux changes these two bits of CR4 from task to task.
        snapshot.values_[next++] = read_cr4() & ~(Cr4::tsd | Cr4::pce);
        snapshot.values_[next++] = read_cr0();
        snapshot.values_[next++] = gdtr.base;
        snapshot.values_[next++] = gdtr.limit;
        snapshot.values_[next++] = idtr.base;
        snapshot.values_[next++] = idtr.limit;
        snapshot.values_[next++] = str().value;
        for (const Msr msr : msrs)
            snapshot.values_[next++] = read_msr(msr);
        return snapshot;
    }

    /// The name of the first register that differs; null if all are equal.
    const char *difference(const HostSnapshot &other) const {
        for (std::size_t i = 0; i < count; i++)
            if (values_[i] != other.values_[i])
                return i < registers ? names[i] : msr_name(msrs[i - registers]);
        return nullptr;
    }

private:
    static constexpr const char *names[] = {"CR4",       "CR0",        "GDTR base", "GDTR limit",
                                            "IDTR base", "IDTR limit", "TR"};
    static constexpr Msr msrs[] = {
        Msr::efer,        Msr::star,         Msr::lstar,        Msr::cstar, Msr::fmask,
        Msr::sysenter_cs, Msr::sysenter_esp, Msr::sysenter_eip, Msr::pat,   Msr::gs_base};
    static constexpr std::size_t registers = sizeof names / sizeof names[0];
    static constexpr std::size_t count = registers + sizeof msrs / sizeof msrs[0];

    std::uint64_t values_[count];
};

} // namespace vtx
