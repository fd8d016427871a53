// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 01: what each logical processor says of its VMX. Nothing is changed, nothing is refused.
#include <cstdint>
#include <optional>

#include "kernel.h"
#include "page.hpp"
#include "reading.hpp"
#include "report.hpp"
#include "step.h"
#include "table.hpp"

using namespace vtx;

namespace {

/// The answers of the first logical processor, and how many registers differ on the others.
struct Survey {
    Reading first{}, here{};
    unsigned int first_cpu = 0;
    unsigned processors = 0;
    unsigned differences = 0;

    static constexpr unsigned most_told = 8; ///< Differences that the log shows.
};

/// Lives from insmod to rmmod, because the file `capabilities` shows it.
constinit Survey *loaded = nullptr;

// [visit]
/// Runs on the visited processor, with interrupts off.
void read_here(void *context) { static_cast<Survey *>(context)->here.take(); }

/// Runs after read_here(), where printing is allowed: logs everything about the first processor,
/// and about the others only what differs.
int tell(unsigned int cpu, void *context) {
    using ull = unsigned long long;
    Survey &survey = *static_cast<Survey *>(context);

    if (survey.processors++ == 0) {
        survey.first = survey.here;
        survey.first_cpu = cpu;
        tell_reading(survey.first);
        return 0;
    }
    compare(
        survey.first, survey.here,
        [&](const char *name, std::optional<std::uint64_t> first,
            std::optional<std::uint64_t> here) {
            if (survey.differences++ < Survey::most_told)
                vtx_log(
                    "cpu %u: %s is %#llx%s, but on cpu %u %#llx%s", cpu, name,
                    static_cast<ull>(here.value_or(0)), here ? "" : " (absent)", survey.first_cpu,
                    static_cast<ull>(first.value_or(0)), first ? "" : " (absent)");
        });
    return 0;
}
// [visit]

/// The file `capabilities`.
void show_capabilities(vtx_table *table) {
    show_reading(table, loaded->first_cpu, loaded->first);
    vtx_print(
        table, "\nLogical processors asked: %u; registers that differ on others: %u\n",
        loaded->processors, loaded->differences);
}

} // namespace

int step_start() {
    Box<Survey> survey;
    if (!survey.allocate()) {
        vtx_log_error("no memory for the report");
        return -VTX_ENOMEM;
    }
    vtx_visit_cpus(read_here, tell, &*survey);
    if (survey->differences == 0)
        vtx_log(
            "%u logical processor%s asked: no differences", survey->processors,
            survey->processors == 1 ? "" : "s");
    else
        vtx_log(
            "%u logical processors asked: %u registers differ", survey->processors,
            survey->differences);
    tell_conclusion(survey->first);
    vtx_log("the whole table is in /sys/kernel/debug/step01_vmx_check/capabilities");

    loaded = survey.release();
    vtx_file_create("capabilities", show_capabilities);
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_files_remove();
    Box<Survey>{loaded}.reset();
    vtx_log("unloaded: nothing was changed, so there is nothing to undo");
}
