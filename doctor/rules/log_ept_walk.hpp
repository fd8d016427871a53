// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Tells a walk of the EPT paging structures in the kernel log. Not inside a scope: it prints.
#pragma once

#include "doctor/rules/ept_walk.hpp"
#include "doctor/rules/sdm.hpp"
#include "kernel.h"

namespace vtx {

/// One line for each entry that the walk used, and one that says how it ended and why.
inline void log_ept_walk(const EptWalk &walk) {
    using ull = unsigned long long;
    const bool unreadable = walk.outcome == EptOutcome::unreadable;
    for (unsigned i = 0; i < walk.count - (unreadable ? 1 : 0); ++i) {
        const EptWalkEntry &entry = walk.entries[i];
        vtx_log(
            "doctor: %s at %#llx is %#llx: %s", ept_entry_name(EptWalk::level_of(i)),
            static_cast<ull>(entry.address), static_cast<ull>(entry.value),
            ept_permissions_text(entry.value));
    }
    const auto guest = static_cast<ull>(walk.guest_physical);
    const char *const last = ept_entry_name(walk.level());
    switch (walk.outcome) {
    case EptOutcome::mapped: {
        constexpr const char *sizes[] = {"4-KByte", "2-MByte", "1-GByte"};
        const bool allows_all = walk.permissions == EptBits::permissions;
        vtx_log(
            "doctor: guest-physical %#llx is host-physical %#llx, in a %s page of memory type "
            "%s%s: %s%s",
            guest, static_cast<ull>(walk.host_physical), sizes[walk.level() - 1],
            ept_memory_type_name(walk.memory_type),
            walk.ignores_pat ? ", whatever the guest's PAT says" : "",
            ept_permissions_text(walk.permissions),
            allows_all ? "" : ", any other access is an EPT violation");
        break;
    }
    case EptOutcome::not_present: {
        const auto sdm = entry_checks::sdm_reference("ept-violations");
        vtx_log(
            "doctor: guest-physical %#llx is not mapped: bits 2:0 of its %s are 0, so an access "
            "is an EPT violation (SDM, %s %s)",
            guest, last, sdm.title, sdm.number);
        break;
    }
    case EptOutcome::misconfigured: {
        const auto sdm = entry_checks::sdm_reference("ept-misconfigurations");
        vtx_log_error(
            "doctor: guest-physical %#llx is misconfigured: its %s %s; at fault: %#llx (SDM, %s "
            "%s)",
            guest, last, ept_misconfiguration_text(walk.fault.reason),
            static_cast<ull>(walk.fault.bits), sdm.title, sdm.number);
        break;
    }
    case EptOutcome::unreadable:
        vtx_log_error(
            "doctor: guest-physical %#llx leads to an %s at %#llx, which cannot be read", guest,
            last, static_cast<ull>(walk.entries[walk.count - 1].address));
        break;
    case EptOutcome::not_4_levels:
        vtx_log_error(
            "doctor: guest-physical %#llx is not translated: the EPTP asks for a page-walk length "
            "other than 4",
            guest);
        break;
    }
}

} // namespace vtx
