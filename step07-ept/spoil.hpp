// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Two mistakes with EPT, made on purpose.
#pragma once

#include "kernel.h"
#include "step.h"
#include "vm.hpp"
#include "vmcs.hpp"

namespace vtx {

/// Makes the mistake, after everything else is written.
inline void make_mistake(CurrentVmcs &vmcs, const Vm &vm, spoil_kind kind) {
    switch (kind) {
    case SPOIL_NONE:
        break;
    case SPOIL_MISCONFIG:
        vm.memory.ept().misconfigure(0);
        break;
    case SPOIL_EPTP:
        vmcs.write(Field64::ept_pointer, vm.memory.ept().pointer(3)); // three levels of four
        break;
    }
}

/// The mistake that was asked for is this step's success. Returns 0 if the guest ended by it, else
/// -EIO.
inline int tell_spoiled(spoil_kind kind, const End &end) {
    const bool as_asked = kind == SPOIL_MISCONFIG
                              ? end.how == Ending::ept_misconfiguration
                              : end.how == Ending::failure && end.failure.result.error == 7;
    if (!as_asked) {
        vtx_log_error("that is not the failure that spoil= asked for");
        return -VTX_EIO;
    }
    vtx_log("spoiled on purpose: it failed in just the way it should, and the machine goes on");
    return 0;
}

} // namespace vtx
