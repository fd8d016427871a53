// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A guest: a virtual CPU and its machine, made ready for the first VM entry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "doctor.hpp"
#include "guest_memory.hpp"
#include "guest_state.hpp"
#include "kernel.h"
#include "load_linux.hpp"
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

    /// Takes all memory, loads Linux into it, and writes the VMCS, except the host state, which
    /// each scope writes. With the parameter `check` the VMCS is examined, too. Returns 0, or a
    /// negative errno after a sentence in the log.
    int prepare(const LinuxFiles &files, unsigned megabytes, bool wants_64) {
        if (const int error = vcpu.prepare())
            return error;
        if (!vm.memory.allocate(megabytes)) {
            vtx_log_error(
                "no memory for the guest: it wants %u MiB (parameter memory_mb)", megabytes);
            return -VTX_ENOMEM;
        }
        const Loaded loaded = load_linux(vm.memory, files, wants_64);
        if (loaded.needed != 0) {
            vtx_log_error(
                "memory_mb=%u is too little: this kernel and its initrd need at least %llu",
                megabytes, static_cast<unsigned long long>((loaded.needed + 0xfffff) >> 20));
            return -VTX_ENOSPC;
        }
        if (loaded.refusal != nullptr) {
            vtx_log_error("the kernel cannot be loaded: %s", loaded.refusal);
            return -VTX_ENOEXEC;
        }
        vm.clock.start(__builtin_ia32_rdtsc(), vtx_tsc_khz());
        vm.wall_start = vtx_wall_seconds();
        vcpu.ept_pointer = vm.memory.ept().pointer();
        vcpu.registers.rsi = loaded.start.boot_params;

        const Failure failure = in_scope(vcpu, [&](Scope scope) {
            vcpu.write_controls_to(scope.vmcs);
            if (loaded.start.in_64_bit) // else VM exits write it, when the guest goes there
                scope.vmcs.write_checked(
                    Field32::entry_controls,
                    (vcpu.controls.entry | EntryControl::ia32e_mode_guest).bits);
            write_guest_state(scope.vmcs, vcpu.vmx, loaded.start);
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
