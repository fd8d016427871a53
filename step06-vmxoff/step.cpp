// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 06: a guest on every logical processor, and every way to leave VMX operation.
#include <cstddef>
#include <cstdint>

#include "cpu_guest.hpp"
#include "host_snapshot.hpp"
#include "kernel.h"
#include "page.hpp"
#include "step.h"
#include "vmx/instructions.hpp"
#include "vmx_check.hpp"

using namespace vtx;

/// In guests.S.
extern "C" const std::byte counting_guest[], counting_guest_end[], dying_guest[], dying_guest_end[];

namespace {

using ull = unsigned long long;

/// What stays from insmod to rmmod.
struct Step {
    PerCpu<CpuGuest> guests;
    PerCpu<HostSnapshot> before;

    /// Makes the guest of a processor. Returns 0, or a negative errno after a sentence. The file
    /// `cpus` may be read meanwhile, so the guest comes to its place only when it is complete.
    int add_guest(unsigned cpu) {
        Box<CpuGuest> guest;
        if (!guest.allocate()) {
            vtx_log_error("no memory for the guest of cpu %u", cpu);
            return -VTX_ENOMEM;
        }
        const bool dies = dying_cpu >= 0 && cpu == static_cast<unsigned>(dying_cpu);
        const std::byte *const begin = dies ? dying_guest : counting_guest;
        const std::byte *const end = dies ? dying_guest_end : counting_guest_end;
        if (const int error = guest->prepare(begin, static_cast<std::size_t>(end - begin), check))
            return error;
        guests[cpu].swap(guest);
        return 0;
    }
};

constinit Step *loaded = nullptr;

// [threads]
// [exercise 06-3]
/// The thread of a processor begins. Processors that were online at insmod already have guests,
/// made while insmod could still fail. One that comes online later gets its guest here.
void begin(unsigned int cpu) {
    if (!loaded->guests[cpu] && loaded->add_guest(cpu) == 0)
        vtx_log("cpu %u has come online and gets a guest", cpu);
}

bool has_work(unsigned int cpu) { return loaded->guests[cpu] && !loaded->guests[cpu]->has_ended(); }

/// One scope. Between two of them the thread can be parked, because its processor goes offline,
/// or stopped, because the module is unloaded: VMX operation is off then, so there is nothing to
/// hand over and nothing to wait for.
void work(unsigned int cpu) { loaded->guests[cpu]->run(); }
// [exercise 06-3]
// [threads]

/// The file `cpus`.
void show_cpus(vtx_table *table) {
    vtx_print(table, "# cpu  state  scopes  VMLAUNCH  VMRESUME  exits  count of the guest\n");
    loaded->guests.for_each([table](unsigned cpu, const CpuGuest &guest) {
        const char *const state = guest.has_ended()     ? "ended"
                                  : vtx_cpu_online(cpu) ? "running"
                                                        : "parked";
        const RunCounts &counts = guest.counts;
        vtx_print(
            table, "%u  %s  %llu  %llu  %llu  %llu  %llu\n", cpu, state, ull{counts.scopes},
            ull{counts.launches}, ull{counts.exits - counts.launches}, ull{counts.exits},
            ull{guest.count()});
    });
}

// [proof]
/// What a processor looked like before, and what it looks like now.
struct Proof {
    Step &step;
    HostSnapshot now;
    bool taken = false;
    Result vmxoff_again, vmptrst_outside;
    unsigned left = 0, unproved = 0;
};

/// On each processor, with interrupts off: out of VMX operation, VMXOFF raises #UD.
void look(void *context) {
    Proof &proof = *static_cast<Proof *>(context);
    PhysicalAddress unused{};
    proof.now = HostSnapshot::take();
    // If another hypervisor has entered VMX operation since the guest ended (KVM was loaded, say),
    // a VMXOFF would not fault: it would end VMX operation for that hypervisor.
    proof.taken = (read_cr4() & Cr4::vmxe) != 0;
    if (proof.taken)
        return;
    proof.vmxoff_again = vmxoff();
    proof.vmptrst_outside = vmptrst(unused);
}

int judge(unsigned int cpu, void *context) {
    Proof &proof = *static_cast<Proof *>(context);
    if (proof.taken) {
        proof.unproved++;
        vtx_log("cpu %u: another hypervisor holds VMX now, so VMXOFF is not tried", cpu);
        return 0;
    }
    const bool outside =
        proof.vmxoff_again.status == Status::fault && proof.vmptrst_outside.status == Status::fault;
    // A processor that was offline at insmod has no earlier picture.
    const Box<HostSnapshot> &before = proof.step.before[cpu];
    const char *const changed = before ? before->difference(proof.now) : nullptr;

    if (outside && changed == nullptr) {
        proof.left++;
        return 0;
    }
    proof.unproved++;
    vtx_log_error(
        "cpu %u: %s%s", cpu, outside ? "changed: " : "still in VMX operation",
        outside ? changed : "");
    return 0;
}
// [proof]

/// Asks each processor whether it can do VMX, and takes a snapshot of it, to compare with after the
/// guests. Returns 0, or a negative errno after a sentence.
int photograph(Step &step) {
    struct Picture {
        Step &step;
        VmxCheck check;
        HostSnapshot now;
    } picture{step, check_vmx(), HostSnapshot::take()};

    return vtx_visit_cpus(
        [](void *context) {
            Picture &taken = *static_cast<Picture *>(context);
            // [exercise 06-4]
            taken.check = check_vmx();
            taken.now = HostSnapshot::take();
            // [exercise 06-4]
        },
        [](unsigned int cpu, void *context) {
            Picture &taken = *static_cast<Picture *>(context);
            if (const int error = refuse_without_vmx(taken.check))
                return error;
            if (!taken.step.before[cpu].allocate()) {
                vtx_log_error("no memory for the picture of cpu %u", cpu);
                return -VTX_ENOMEM;
            }
            *taken.step.before[cpu] = taken.now;
            return 0;
        },
        &picture);
}

/// Makes a guest for each online processor. Returns 0, or the first error.
int add_guests(Step &step) {
    for (unsigned cpu = 0; cpu < vtx_cpu_limit(); cpu++)
        if (vtx_cpu_online(cpu))
            if (const int error = step.add_guest(cpu))
                return error;
    return 0;
}

/// Waits until each guest has been seen to count, or has ended. Returns the first error.
int wait_for_guests(Step &step) {
    int error = 0;
    step.guests.for_each([&error](unsigned cpu, const CpuGuest &guest) {
        while (error == 0 && guest.count() < 10 && !guest.told && vtx_cpu_online(cpu))
            vtx_sleep(1);
        // A guest that dies because it was asked to is no failure of the step.
        if (error == 0 && guest.vm.end.how == Ending::failure)
            error = guest.error;
    });
    return error;
}

/// Says what each guest did; after the first eight only the sum.
void tell_counts(Step &step) {
    static constexpr unsigned in_full = 8;
    unsigned guests = 0;
    ull exits = 0;

    step.guests.for_each([&](unsigned cpu, const CpuGuest &guest) {
        exits += guest.counts.exits;
        if (guests++ < in_full)
            vtx_log(
                "cpu %u: the guest counted to %llu: %llu scopes, %llu VM exits", cpu,
                ull{guest.count()}, ull{guest.counts.scopes}, ull{guest.counts.exits});
    });
    if (guests > in_full)
        vtx_log("and %u more guests: %llu VM exits in all", guests - in_full, exits);
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;

    Box<Step> step;
    if (!step.allocate() || !step->guests.allocate() || !step->before.allocate()) {
        vtx_log_error("no memory for the step's data");
        return -VTX_ENOMEM;
    }
    if (const int error = photograph(*step))
        return error;
    if (const int error = add_guests(*step))
        return error;

    loaded = &*step;
    if (const int error = vtx_threads_start(begin, has_work, work)) {
        vtx_log_error("the threads that run the guests could not be started (error %d)", error);
        return error;
    }
    if (const int error = wait_for_guests(*step)) {
        vtx_threads_stop();
        return error;
    }

    unsigned guests = 0;
    step->guests.for_each([&guests](unsigned, const CpuGuest &) { guests++; });
    vtx_log(
        "%u guest%s running, one on each logical processor, until the module is unloaded", guests,
        guests == 1 ? " is" : "s are");
    vtx_log("their counts are in /sys/kernel/debug/step06_vmxoff/cpus");
    step.release();
    vtx_file_create("cpus", show_cpus);
    vtx_log_fault_points();
    return 0;
}

// [teardown]
void step_stop() {
    Box<Step> step(loaded); // frees the pages when it goes, at the end

    // [exercise 06-1]
    vtx_files_remove();
    vtx_threads_stop(); // each thread has left its last scope: VMCLEAR, VMXOFF, CR4
    vtx_log("the guests have stopped");
    tell_counts(*step);

    Proof proof{*step, HostSnapshot::take(), false, {}, {}};
    // [exercise 06-2]
    vtx_visit_cpus(look, judge, &proof);
    // [exercise 06-2]
    if (proof.unproved == 0)
        vtx_log(
            "VMXOFF faults on every logical processor (%u): out of VMX operation, and "
            "as they were before",
            proof.left);
    step.reset();
    // [exercise 06-1]
    vtx_log("unloaded: all pages are free again");
}
// [teardown]
