// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// All other VM exits.
#pragma once

#include "exit.hpp"

namespace vtx {

// [instructions]
/// Instructions that do nothing for this guest, instructions that its CPU does not have, and exits
/// that we do not know. There the guest ends, because we cannot know what it expected.
/// \sdm{instructions-that-cause-vm-exits-unconditionally}
/// \sdm{instructions-that-cause-vm-exits-conditionally}
inline Action handle_instruction(const Exit &exit) {
    switch (exit.reason) {
    case ExitReason::invd: // would throw away the host's writes that are still in caches
    case ExitReason::wbinvd:
        return exit.skip_instruction();

    case ExitReason::rdpmc:
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
