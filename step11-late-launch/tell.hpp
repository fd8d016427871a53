// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What happened on the processors, in the kernel log and in the file `cpus`. Never in root
/// operation: it prints.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "processor.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/log_failure.hpp"

namespace vtx {

/// How often a processor left the guest, for any reason: the sum of its counts by reason.
inline std::uint64_t all_exits(const std::uint64_t (&exits)[exit_reason_limit]) {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : exits)
        sum += count;
    return sum;
}

/// Says why a processor left VMX operation without being asked.
inline void log_report(unsigned cpu, const Processor &processor) {
    using ull = unsigned long long;
    const Report &report = processor.report;
    if (report.root_exception != nullptr)
        vtx_log_error(
            "cpu %u: left VMX operation: %s in the exit handler, after the exit at RIP %#llx; this "
            "is a mistake in the step",
            cpu, report.root_exception, ull{processor.report.rip});
    else if (processor.failure)
        log_failure(processor.failure);
    else
        vtx_log_error(
            "cpu %u: left VMX operation at VM exit %u (%s), which nothing here handles: RIP %#llx, "
            "detail %#llx, guest-physical address %#llx",
            cpu, static_cast<unsigned>(report.reason), exit_reason_name(report.reason),
            ull{report.rip}, ull{report.detail}, ull{report.address});
}

/// One line of the file `cpus`: the processor, where it is, and its exits by reason.
inline void show_processor(vtx_table *table, unsigned cpu, const Processor &processor) {
    using State = Processor::State;
    const char *const state = processor.state == State::guest     ? "guest"
                              : processor.state == State::outside ? "outside"
                                                                  : "left";
    // A copy, since the processor goes on counting: the sum is that of the counts in this line.
    std::uint64_t exits[exit_reason_limit];
    for (unsigned reason = 0; reason < exit_reason_limit; reason++)
        exits[reason] = processor.exits[reason];
    using ull = unsigned long long;
    vtx_print(table, "%u  %s  %llu", cpu, state, ull{all_exits(exits)});
    for (unsigned reason = 0; reason < exit_reason_limit; reason++)
        if (exits[reason] != 0)
            vtx_print(
                table, "  %u %s: %llu", reason, exit_reason_name(static_cast<ExitReason>(reason)),
                ull{exits[reason]});
    vtx_print(table, "\n");
}

} // namespace vtx
