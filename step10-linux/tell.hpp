// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How a guest ended, in the kernel log and in a word. Not inside a scope: it prints.
#pragma once

#include "kernel.h"
#include "vm.hpp"
#include "vmx/log_failure.hpp"

namespace vtx {

/// What the guest was doing when EPT did not let it. A walk of its page tables may have been at
/// work for it: then the tables themselves lie outside its RAM.
inline const char *access_in_words(const EptViolation &access) {
    if (access.linear_address_valid && !access.is_translation_result)
        return "a page walk to";
    return access.fetch ? "a fetch from" : access.write ? "a write to" : "a read of";
}

/// The same for the file `exits`, as far as EPT ended the guest.
inline void show_end(const End &end, vtx_table *table) {
    if (end.how == Ending::ept_violation)
        vtx_print(
            table, "end  EPT violation: %s guest-physical address %#llx, RIP %#llx\n",
            access_in_words(end.access), static_cast<unsigned long long>(end.address),
            static_cast<unsigned long long>(end.rip));
}

/// How often it has used the ports of its devices, for the file `exits`.
inline void show_ports(const PortCounts &counts, vtx_table *table) {
    using ull = unsigned long long;
    vtx_print(
        table, "ports  uart %llu  pic %llu  pit %llu  cmos %llu  others %llu\n", ull{counts.uart},
        ull{counts.pic}, ull{counts.pit}, ull{counts.cmos}, ull{counts.others});
}

/// How a guest ended, in one word for the file `status`.
inline const char *ending_word(Ending how) {
    switch (how) {
    case Ending::none:
        return "none";
    case Ending::halt:
        return "power-off";
    case Ending::reset:
    case Ending::triple_fault:
        return "reboot";
    case Ending::stopped:
        return "stopped";
    default:
        return "failure"; // the log says which
    }
}

/// Says in one sentence how a guest ended.
inline void log_end(const End &end) {
    using ull = unsigned long long;
    const ull at = end.rip;

    switch (end.how) {
    case Ending::none:
        break;
    case Ending::halt:
        vtx_log("the guest has switched its machine off");
        break;
    case Ending::reset:
        vtx_log("the guest has restarted its machine, which ends it here");
        break;
    case Ending::ept_violation:
        vtx_log_error(
            "the guest ended: EPT violation: %s guest-physical address %#llx, RIP %#llx",
            access_in_words(end.access), static_cast<ull>(end.address), at);
        break;
    case Ending::ept_misconfiguration:
        vtx_log_error(
            "the guest ended: EPT misconfiguration at guest-physical address %#llx, RIP %#llx",
            static_cast<ull>(end.address), at);
        break;
    case Ending::triple_fault:
        vtx_log(
            "the guest has restarted its machine by a triple fault at RIP %#llx, or has crashed",
            at);
        break;
    case Ending::machine_check:
        log_machine_check();
        break;
    case Ending::task_switch:
        vtx_log_error(
            "the guest ended: task switch at RIP %#llx; task switches are not emulated", at);
        break;
    case Ending::unexpected:
        vtx_log_error(
            "the guest ended: VM exit %u (%s) at RIP %#llx, which nothing here handles",
            static_cast<unsigned>(end.reason), exit_reason_name(end.reason), at);
        break;
    case Ending::failure:
        log_failure(end.failure);
        break;
    case Ending::stopped:
        vtx_log("the guest was stopped at RIP %#llx", at);
        break;
    }
}

} // namespace vtx
