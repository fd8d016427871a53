// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The exit trace: what left the guest, where and when.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel.h"
#include "vmcs.hpp"
#include "vmx/exit_reasons.hpp"

namespace vtx {

/// The VM exits of one run: a count of each reason, and the last ones in full.
class Trace {
public:
    /// How many exits are kept in full.
    static constexpr std::size_t capacity = 1024;
    /// Forgets everything; times count from now on.
    void begin(bool in_full) {
        for (std::uint32_t &count : by_reason_)
            count = 0;
        exits_ = 0;
        in_full_ = in_full;
        start_ = __builtin_ia32_rdtsc();
    }

    // [record]
    /// Notes an exit that just happened. Called in the scope, at every exit: so the record is
    /// small, and is put into words only when somebody reads the file.
    void record(CurrentVmcs &vmcs, ExitReason reason) {
        if (const auto number = static_cast<std::size_t>(reason); number < exit_reason_limit)
            by_reason_[number]++;
        if (in_full_) {
            Record &record = records_[exits_ % capacity];
            record.tsc = __builtin_ia32_rdtsc();
            record.qualification = vmcs.read(FieldNatural::exit_qualification);
            record.rip = vmcs.read(FieldNatural::guest_rip);
            record.reason = reason;
        }
        exits_++;
    }
    // [record]

    /// Prints the records, then the totals by reason.
    void show(vtx_table *table) const {
        using ull = unsigned long long;
        const std::uint64_t recorded = in_full_ ? exits_ : 0;
        const std::uint64_t first = recorded > capacity ? recorded - capacity : 0;

        vtx_print(table, "# exit  reason  qualification  guest RIP  TSC since the start\n");
        if (!in_full_)
            vtx_print(table, "# single exits were not recorded: the parameter trace is off\n");
        else if (first != 0)
            vtx_print(
                table, "# the first %llu exits are no longer kept\n", static_cast<ull>(first));
        for (std::uint64_t i = first; i < recorded; i++) {
            const Record &record = records_[i % capacity];
            vtx_print(
                table, "%llu  %u %s  %#llx  %#llx  %llu\n", ull{i} + 1,
                static_cast<unsigned>(record.reason), exit_reason_name(record.reason),
                static_cast<ull>(record.qualification), static_cast<ull>(record.rip),
                static_cast<ull>(record.tsc - start_));
        }
        vtx_print(table, "# %llu exits in all\n", static_cast<ull>(exits_));
        for (unsigned reason = 0; reason < exit_reason_limit; reason++)
            if (by_reason_[reason] != 0)
                vtx_print(
                    table, "total  %u %s  %u\n", reason,
                    exit_reason_name(static_cast<ExitReason>(reason)), by_reason_[reason]);
    }

private:
    struct Record {
        std::uint64_t tsc, qualification, rip;
        ExitReason reason;
    };

    std::uint64_t start_ = 0, exits_ = 0;
    bool in_full_ = false;
    std::uint32_t by_reason_[exit_reason_limit]{};
    Record records_[capacity]{};
};

} // namespace vtx
