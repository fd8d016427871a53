// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 11: the Linux that loads the module becomes a guest, and comes back when it unloads it.
#include <cstddef>
#include <cstdint>
#include <utility>

#include "enter.hpp"
#include "kernel.h"
#include "page.hpp"
#include "per_cpu.hpp"
#include "processor.hpp"
#include "root_entries.hpp"
#include "step.h"
#include "tell.hpp"
#include "vmx/require_capabilities.hpp"
#include "vmx_check.hpp"

using namespace vtx;

namespace {

using ull = unsigned long long;

/// What stays from insmod to rmmod.
struct Step {
    Hypervisor hypervisor;
    PerCpu<Processor> processors;
    bool complete = false; ///< All processors have joined, and insmod succeeds.

    /// The processor's object, made at its first use. Null if there is no memory.
    Processor *processor(unsigned cpu) {
        Box<Processor> &place = processors[cpu];
        if (place)
            return &*place;
        Box<Processor> made; // comes to its place when it is complete: `cpus` may be read meanwhile
        if (!made.allocate() || !made->allocate(cpu, hypervisor))
            return nullptr;
        place.swap(made);
        return &*place;
    }
};

constinit Step *loaded = nullptr;

/// Puts into the log why this processor has left without being asked. It runs on it, soon after.
void tell() {
    const unsigned cpu = vtx_current_cpu();
    const Box<Processor> &processor = loaded->processors[cpu];
    if (processor && std::exchange(processor->to_tell, false))
        log_report(cpu, *processor);
}

/// The EPT says what the MTRRs said when it was made. If they have changed since, or are others on
/// this processor, it would cache the wrong memory. Returns 0, or -EBUSY after a sentence.
int refuse_other_memory_types(unsigned cpu) {
    MemoryTypes now;
    now.read();
    if (now == loaded->hypervisor.types)
        return 0;
    vtx_log_error("cpu %u: its MTRRs are not as they were when the step was loaded", cpu);
    return -VTX_EBUSY;
}

// [join]
/// A processor joins: at insmod, or when it comes online. Runs on it.
int join(unsigned int cpu) {
    Processor *const processor = loaded->processor(cpu);
    int error = -VTX_ENOMEM;
    if (processor == nullptr) {
        vtx_log_error("cpu %u: no memory for its VMX regions and its stack", cpu);
    } else {
        processor->failure = {};
        error = refuse_without_vmx(check_vmx());
        if (error == 0)
            error = refuse_other_memory_types(cpu);
        if (error == 0)
            error = enter(*processor);
        if (error == 0)
            vtx_log("cpu %u: Linux goes on as a guest", cpu);
        else if (processor->failure)
            log_failure(processor->failure);
    }
    // At insmod an error undoes all. Later it would only keep this processor offline.
    if (error != 0 && loaded->complete) {
        vtx_log_error("cpu %u: stays outside VMX operation (error %d)", cpu, error);
        error = 0;
    }
    return error;
}

/// A processor parts: at rmmod, or because it goes offline, or the machine sleeps. Runs on it.
void part(unsigned int cpu) {
    Box<Processor> &processor = loaded->processors[cpu];
    if (!processor)
        return;
    const bool was_guest = processor->state == Processor::State::guest;
    come_back(*processor);
    if (was_guest)
        vtx_log(
            "cpu %u: back, %llu VM exits and no VMX operation any more", cpu,
            ull{all_exits(processor->exits)});
}
// [join]

/// The file `cpus`.
void show_cpus(vtx_table *table) {
    vtx_print(table, "# cpu  state  exits  by reason\n");
    loaded->processors.for_each([table](unsigned cpu, const Processor &processor) {
        show_processor(table, cpu, processor);
    });
}

/// The file `watched`: each byte that is written to it is written to the watched page.
int store_watched(const void *bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; i++)
        loaded->hypervisor.watched.store(static_cast<const std::uint8_t *>(bytes)[i]);
    return 0;
}

void show_watched(vtx_table *table) {
    const WatchedPage &watched = loaded->hypervisor.watched;
    vtx_print(table, "byte=%#x writes=%llu\n", watched.byte(), ull{watched.seen()});
}

constexpr vtx_append_file watched_file = {
    .empty = [] { return 0; }, .append = store_watched, .show = show_watched};

/// Modules that enter VMX operation when somebody gives them a guest. They looked for VMX when they
/// were loaded, so they would now set CR4.VMXE, and meet a \#GP that they do not expect.
constexpr const char *users_of_vmx[] = {"kvm_intel",   "step05_exits",     "step06_vmxoff",
                                        "step07_ept",  "step08_real_mode", "step09_interrupts",
                                        "step10_linux"};

/// Prepares what all processors share. Returns 0, or a negative errno after a sentence.
int prepare(Hypervisor &hypervisor) {
    const unsigned width = cpuid(0x80000008).eax & 0xff;

    if (const int error = refuse_without_vmx(check_vmx()))
        return error;
    if ((cpuid(1).ecx & Cpuid1Ecx::hypervisor) != 0) {
        vtx_log_error(
            "this Linux is a virtual machine already and calls its hypervisor, which it could not "
            "do through this step: run the step in the emulated machine with ./lab run");
        return -VTX_EOPNOTSUPP;
    }
    for (const char *const name : users_of_vmx)
        if (vtx_module_loaded(name)) {
            vtx_log_error(
                "%s is loaded and wants VMX from time to time, of which there is only one: end its "
                "virtual machines, unload it (rmmod %s) and try again",
                name, name);
            return -VTX_EBUSY;
        }
    if ((read_cr4() & Cr4::fred) != 0) {
        vtx_log_error(
            "this kernel takes interrupts by FRED, and this step knows IDTs only: boot it "
            "with fred=off");
        return -VTX_EOPNOTSUPP;
    }
    if (width > 48) {
        vtx_log_error(
            "this CPU has %u physical-address bits, and an EPT of 4 levels maps 48: run this step "
            "in the emulated machine with ./lab run",
            width);
        return -VTX_EOPNOTSUPP;
    }
    if (const int error = require_capabilities(hypervisor.vmx))
        return error;
    if (const int error = choose_controls(hypervisor.vmx, hypervisor.controls))
        return error;

    hypervisor.tell = tell;
    hypervisor.types.read();
    hypervisor.isolated = vtx_page_tables_isolated();
    if (!hypervisor.msrs.allocate() || !hypervisor.watched.allocate() ||
        !hypervisor.ept.build(hypervisor.types, width, hypervisor.watched.physical())) {
        vtx_log_error("no memory for the EPT and the MSR bitmap");
        return -VTX_ENOMEM;
    }
    vtx_log(
        "EPT maps %u-bit addresses one to one, with %u pages of tables", width,
        static_cast<unsigned>(hypervisor.ept.pages()));
    return 0;
}

} // namespace

int step_start() {
    Box<Step> step;
    if (!step.allocate() || !step->processors.allocate()) {
        vtx_log_error("no memory for the step's data");
        return -VTX_ENOMEM;
    }
    if (const int error = prepare(step->hypervisor))
        return error;

    loaded = &*step;
    if (const int error = vtx_cpus_join(join, part)) {
        vtx_log_error("not all processors could join, so none has (error %d)", error);
        vtx_call_soon_wait();
        return error;
    }
    step->complete = true;
    step.release();
    vtx_file_create("cpus", show_cpus);
    vtx_append_file_create("watched", &watched_file);
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    Box<Step> step(loaded); // frees the pages when it goes, at the end

    vtx_files_remove();
    vtx_cpus_part();
    vtx_call_soon_wait();
    step.reset();
    vtx_log("unloaded: this Linux runs on the machine itself again");
}
