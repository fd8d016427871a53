// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 09: a guest that gets interrupts and keeps time, in a thread of its own.
#include <cstddef>
#include <cstdint>

#include "guest.hpp"
#include "kernel.h"
#include "page.hpp"
#include "run.hpp"
#include "speculation.hpp"
#include "step.h"
#include "tell.hpp"
#include "text_screen.hpp"
#include "trace.hpp"
#include "vmx_check.hpp"

using namespace vtx;

/// In guests.S.
extern "C" const std::byte tasks_guest[], tasks_guest_end[];

namespace {

using ull = unsigned long long;

/// A copy of a boot image, for a run that goes on after the write that brought it.
struct Image {
    std::byte bytes[Disk::limit];
};

/// A run that is over, as the files `status`, `exits` and `screen` show it.
struct LastRun {
    End end{};
    RunCounts counts{};
    std::uint64_t injected = 0, milliseconds = 0;
    UnknownCalls unknown_calls{};
    std::byte screen[TextScreen::bytes]{};
};

/// What stays from insmod to rmmod. vtx_lock() protects the boxes: who holds it finds them either
/// full or empty.
struct Step {
    Box<Image> image;
    Box<Guest> guest; ///< Full while a guest runs.
    Box<Trace> running, finished;
    LastRun last;
    bool ran = false; ///< `last` means something.
};

constinit Step *loaded = nullptr;

/// Keeps what the files show, and gives the guest's memory back.
void finish(Step &step) {
    Guest &guest = *step.guest;
    vtx_lock();
    step.running.swap(step.finished);
    step.last.end = guest.vm.end;
    step.last.counts = guest.counts;
    step.last.injected = guest.vcpu.events.injected;
    step.last.milliseconds = guest.vm.clock.milliseconds();
    step.last.unknown_calls = guest.vm.unknown_calls;
    guest.vm.memory.read(TextScreen::address, step.last.screen, sizeof step.last.screen);
    step.ran = true;
    step.guest.reset();
    step.image.reset();
    vtx_unlock();
}

// [run]
/// Runs the guest to its end: from scope to scope, with the host at work in between, and asleep
/// while the guest is. Returns 0 if it ended by HLT or with status 0, else a negative errno, after
/// a sentence in the log.
int run_guest(Step &step) {
    Guest &guest = *step.guest;
    Ending &how = guest.vm.end.how;
    OutputLog output;

    step.running->begin(trace);
    while (how == Ending::none) {
        if (wait_until_it_runs(guest))
            run_scope(guest, [&](CurrentVmcs &vmcs, ExitReason reason) {
                step.running->record(vmcs, reason);
            });
        output.log(guest.vm.output, false);
        vtx_give_way();
        if (how == Ending::none && vtx_stop_requested())
            how = Ending::stopped;
        if (how == Ending::none && vtx_interrupted())
            how = Ending::signal;
    }
    output.log(guest.vm.output, true);
    const int error = tell_end(guest);
    finish(step);
    return error;
}
// [run]

/// Makes a guest with this disk, ready to run. Returns 0, or a negative errno after a sentence in
/// the log.
int make_guest(Step &step, const Disk &disk) {
    Box<Guest> guest;
    if (!guest.allocate()) {
        vtx_log_error("no memory for the guest");
        return -VTX_ENOMEM;
    }
    if (const int error = guest->prepare(disk, memory_mb))
        return error;
    vtx_lock();
    guest->vm.keyboard.type(keys);
    step.guest.swap(guest);
    vtx_unlock();
    return 0;
}

/// Runs the guest that comes with the step, and waits for its end.
int demonstrate(Step &step) {
    const Disk disk{tasks_guest, static_cast<std::size_t>(tasks_guest_end - tasks_guest)};
    vtx_log("guest \"tasks\": two tasks and a timer of 100 ticks a second");
    if (const int error = make_guest(step, disk))
        return error;
    const int error = run_guest(step);
    if (error == 0)
        vtx_log(
            "it ended with status 0 after %llu ms, %llu VM exits and %llu interrupts",
            ull{step.last.milliseconds}, ull{step.last.counts.exits}, ull{step.last.injected});
    return error;
}

/// The thread.
void run_in_thread() { run_guest(*loaded); }

/// The file `guest`: a write begins a run, and returns. Writers come one after the other.
int run_written(const void *bytes, std::size_t size) {
    Step &step = *loaded;
    vtx_lock();
    const bool busy = static_cast<bool>(step.guest);
    vtx_unlock();
    if (busy)
        return -VTX_EBUSY;
    if (!Disk{static_cast<const std::byte *>(bytes), size}.can_boot()) {
        vtx_log_error(
            "this is no boot image: it must have at least 512 bytes, with 0x55 and 0xaa at offset "
            "510, where a BIOS looks for them");
        return -VTX_ENOEXEC;
    }
    step.image.reset();
    if (!step.image.allocate()) {
        vtx_log_error("no memory for the guest's disk");
        return -VTX_ENOMEM;
    }
    __builtin_memcpy(step.image->bytes, bytes, size);
    if (const int error = make_guest(step, {step.image->bytes, size}))
        return error;
    if (const int error = vtx_thread_start(run_in_thread)) {
        vtx_log_error("no thread for the guest: error %d", -error);
        vtx_lock(); // it has not run: the files show the one before it
        step.guest.reset();
        step.image.reset();
        vtx_unlock();
        return error;
    }
    return 0;
}

/// The file `run`: 0 stops the guest and waits until it has ended.
int command(unsigned number) {
    if (number != 0)
        return -VTX_EINVAL;
    vtx_thread_stop();
    return 0;
}

/// The file `status`.
void show_status(vtx_table *table) {
    vtx_lock();
    const Step &step = *loaded;
    const LastRun &last = step.last;
    const bool runs = static_cast<bool>(step.guest);
    const char *const state = runs ? "running" : step.ran ? "ended" : "idle";
    const RunCounts counts = runs ? step.guest->counts : last.counts;
    vtx_print(
        table, "state=%s end=%s ms=%llu scopes=%llu exits=%llu injected=%llu\n", state,
        ending_word(runs ? Ending::none : last.end.how),
        ull{runs ? step.guest->vm.clock.milliseconds() : last.milliseconds}, ull{counts.scopes},
        ull{counts.exits}, ull{runs ? step.guest->vcpu.events.injected : last.injected});
    vtx_unlock();
}

/// The file `exits`.
void show_exits(vtx_table *table) {
    vtx_lock();
    loaded->finished->show(table);
    show_unknown_calls(loaded->last.unknown_calls, table);
    show_end(loaded->last.end, table);
    vtx_unlock();
}

/// The file `screen`: as it is now, or as the last guest left it.
void show_screen(vtx_table *table) {
    vtx_lock();
    Step &step = *loaded;
    if (step.guest)
        step.guest->vm.memory.read(TextScreen::address, step.last.screen, TextScreen::bytes);
    show_text(step.last.screen, table);
    vtx_unlock();
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;

    Box<Step> step;
    if (!step.allocate() || !step->running.allocate() || !step->finished.allocate()) {
        vtx_log_error("no memory for the step's data");
        return -VTX_ENOMEM;
    }
    Speculation speculation;
    speculation.detect();
    speculation.tell();
    if (const int error = demonstrate(*step))
        return error;

    loaded = step.release();
    vtx_program_file_create("guest", std::size_t{Disk::limit}, run_written);
    vtx_command_file_create("run", command);
    vtx_file_create("status", show_status);
    vtx_file_create("exits", show_exits);
    vtx_file_create("screen", show_screen);
    vtx_log("write a boot image to /sys/kernel/debug/step09_interrupts/guest to start it; see "
            "status, exits and screen there");
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_thread_stop();
    vtx_files_remove();
    vtx_thread_stop(); // of a writer that came in between
    Box<Step>{loaded}.reset();
    vtx_log("unloaded: no guest is running, and nothing is left");
}
