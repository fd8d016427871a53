// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest used an address that EPT does not translate.
#pragma once

#include "exit.hpp"

namespace vtx {

// [ept]
/// Exit reasons 48 and 49. Outside its RAM this guest has nothing, so an access there is its end.
/// A misconfigured entry would be a mistake of ours. \sdm{ept-violations}
/// \sdm{ept-misconfigurations}
inline Action handle_ept(const Exit &exit) {
    exit.vm.end.address = exit.vmcs.read(Field64::guest_physical_address);
    if (exit.reason == ExitReason::ept_misconfiguration)
        return exit.end(Ending::ept_misconfiguration);
    exit.vm.end.access = decode_ept_violation(exit.qualification());
    return exit.end(Ending::ept_violation);
}
// [ept]

} // namespace vtx
