// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A guest: a virtual CPU and its machine, made ready for the first VM entry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bios.hpp"
#include "doctor.hpp"
#include "guest_memory.hpp"
#include "guest_state.hpp"
#include "kernel.h"
#include "scope.hpp"
#include "step.h"
#include "vcpu.hpp"
#include "vm.hpp"
#include "vmcs_controls.hpp"
#include "vmx/log_failure.hpp"

namespace vtx {

/// How often a guest was given the processor, and how often it came back by a VM exit. All entries
/// of a scope but the first are VMRESUMEs.
struct RunCounts {
    std::uint64_t scopes = 0, launches = 0, exits = 0;
};

/// All that there is to a guest. Its parts do not know each other.
struct Guest {
    Vcpu vcpu;
    Vm vm;
    Doctor doctor; ///< Asked when a VM entry has failed, with `check` also before the first one.
    RunCounts counts{};

    /// Takes all memory, loads the BIOS and the first sector of `disk`, and writes the VMCS, except
    /// the host state, which each scope writes. With `check` the VMCS is examined, too. Returns 0,
    /// or a negative errno after a sentence in the log. `disk` must outlive the guest.
    int prepare(const Disk &disk, unsigned megabytes) {
        if (const int error = vcpu.prepare())
            return error;
        if (!vm.memory.allocate(megabytes)) {
            vtx_log_error(
                "no memory for the guest: it wants %u MiB (parameter memory_mb)", megabytes);
            return -VTX_ENOMEM;
        }
        vm.disk = disk;
        vm.clock.start(__builtin_ia32_rdtsc(), vtx_tsc_khz());
        load_bios(vm.memory);
        vm.load_boot_sector();
        vcpu.ept_pointer = vm.memory.ept().pointer();
        vcpu.registers.rdx = boot_drive; // DL

        const Failure failure = in_scope(vcpu, [&](Scope scope) {
            vcpu.write_controls_to(scope.vmcs);
            write_guest_state(scope.vmcs, vcpu.vmx, {Vm::boot_sector, Vm::boot_sector});
            if (check)
                doctor.look_before_entry(scope.vmcs);
        });
        if (failure) {
            log_failure(failure);
            return failure.error();
        }
        if (check && !doctor.tell(vcpu.vmx)) {
            vtx_log_error(
                "the guest was not entered: its VMCS breaks the rules above (parameter check)");
            return -VTX_EIO;
        }
        return 0;
    }
};

} // namespace vtx
