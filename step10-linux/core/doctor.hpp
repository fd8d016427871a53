// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The doctor: which of some 190 rules does a VMCS break? The processor says only that it breaks
/// one.
#pragma once

#include <cstdint>

#include "doctor/rules/entry_checks.hpp"
#include "doctor/rules/log.hpp"
#include "vmcs.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/instructions.hpp"
#include "vmx/snapshot.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// Reads a VMCS inside a scope, and examines it after the scope, where there is time and printing
/// is allowed. Takes four kilobytes, which is too much for a kernel stack.
class Doctor {
public:
    /// Reads every field of the current VMCS. In the scope, after a VM entry. If it failed, these
    /// are the values that it failed with: a failed entry changes no field that the rules ask for.
    void look(const CurrentVmcs &vmcs) {
        current_ = vmcs.physical();
        vmcs.read_all(snapshot_);
        has_looked_ = true;
    }

    /// The same before the first VM entry. Host RSP is the one field that is not written yet,
    /// because vm_enter() writes it at each entry. Our own stack stands in for it.
    void look_before_entry(const CurrentVmcs &vmcs) {
        look(vmcs);
        snapshot_.set(
            FieldNatural::host_rsp, reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)));
    }

    /// True if one of the two has looked, and neither tell() nor warn() has told of it yet.
    bool has_looked() const { return has_looked_; }

    /// Examines what was seen and logs each rule that is broken, with the field, its value and the
    /// place in the SDM. Returns true if none is. Rules that look into memory which `memory` does
    /// not give stay undecided. Not inside a scope: it prints.
    bool tell(const VmxCapabilities &vmx, const PhysicalMemory &memory = {}) {
        think(vmx, memory);
        entry_checks::log_verdict(verdict_);
        return verdict_.sound();
    }

    /// After a VM entry that succeeded: logs what the processor does not check, and what would have
    /// killed the host after the VM exit if HostRepair had not mended it. Not inside a scope.
    void warn(const VmxCapabilities &vmx) {
        think(vmx, {});
        entry_checks::log_suspicions(verdict_);
    }

private:
    void think(const VmxCapabilities &vmx, const PhysicalMemory &memory) {
        has_looked_ = false;
        EntrySituation situation;
        situation.current_vmcs = current_.value;
        situation.memory = memory;
        entry_checks::examine(
            snapshot_,
            describe_processor(
                vmx,
                [](std::uint32_t leaf, std::uint32_t subleaf) { return cpuid(leaf, subleaf); }),
            situation, verdict_);
    }

    bool has_looked_ = false;
    PhysicalAddress current_{};
    VmcsSnapshot snapshot_{};
    entry_checks::Verdict verdict_{};
};

} // namespace vtx
