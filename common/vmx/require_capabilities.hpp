// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a processor with VMX can do, or a refusal in words.
#pragma once

#include "kernel.h"
#include "vmx/capabilities.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// Reads the capabilities of the logical processor at hand, which has VMX, into `vmx`. Returns 0,
/// or -EOPNOTSUPP after a sentence in the log. Not inside a scope: it prints.
inline int require_capabilities(VmxCapabilities &vmx) {
    const auto read = read_capabilities(read_msr_safe);
    if (!read) {
        vtx_log_error("this CPU has VMX, but its capability MSRs cannot be read: its hypervisor "
                      "passes VMX on only in part");
        return -VTX_EOPNOTSUPP;
    }
    vmx = *read;
    return 0;
}

} // namespace vtx
