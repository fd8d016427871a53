// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// All other instructions that leave the guest, and whatever else may.
#pragma once

#include "exit.hpp"

namespace vtx {

// [instructions]
/// Instructions that do nothing for this guest, instructions that its CPU does not have, and what
/// nobody has thought of: the guest ends there, because we cannot know what it expected.
/// \sdm{instructions-that-cause-vm-exits-unconditionally}
/// \sdm{instructions-that-cause-vm-exits-conditionally}
inline Action handle_instruction(const Exit &exit) {
    switch (exit.reason) {
    case ExitReason::invd: // would throw away what the host has written and not yet in memory
    case ExitReason::wbinvd:
    case ExitReason::invlpg: // its tables never change
    case ExitReason::pause:
        return exit.skip_instruction();

    case ExitReason::rdpmc:
    case ExitReason::xsetbv:
        return exit.raise(Vector::general_protection);

    case ExitReason::monitor:
    case ExitReason::mwait:
    case ExitReason::getsec:
    case ExitReason::vmclear:
    case ExitReason::vmlaunch:
    case ExitReason::vmptrld:
    case ExitReason::vmptrst:
    case ExitReason::vmread:
    case ExitReason::vmresume:
    case ExitReason::vmwrite:
    case ExitReason::vmxoff:
    case ExitReason::vmxon:
    case ExitReason::invept:
    case ExitReason::invvpid:
    case ExitReason::vmfunc:
        return exit.raise(Vector::invalid_opcode);

    default:
        exit.vm.end.reason = exit.reason;
        return exit.end(Ending::unexpected);
    }
}
// [instructions]

} // namespace vtx
