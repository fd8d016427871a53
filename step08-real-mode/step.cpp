// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 08: a guest begins like a PC, in real mode with a boot sector.
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
extern "C" const std::byte modes_guest[], modes_guest_end[];

namespace {

using ull = unsigned long long;

/// What stays from insmod to rmmod: the trace of the current run, and of the last finished run what
/// the files `exits` and `screen` show.
struct Step {
    Box<Trace> running, finished;
    End end;
    UnknownCalls unknown_calls;
    std::byte screen[TextScreen::bytes];
};

constinit Step *loaded = nullptr;

// [run]
/// Runs a guest to its end: from scope to scope, with the host at work in between. Returns 0 if it
/// ended with status 0, else a negative errno, after a sentence in the log.
int run_guest(Step &step, Guest &guest) {
    const std::uint64_t begin = vtx_milliseconds();
    OutputLog output;
    Ending &how = guest.vm.end.how;

    step.running->begin(trace);
    while (how == Ending::none) {
        run_scope(guest, [&](CurrentVmcs &vmcs, ExitReason reason) {
            step.running->record(vmcs, reason);
        });
        output.log(guest.vm.output, false);
        vtx_give_way();
        if (how == Ending::none && vtx_interrupted())
            how = Ending::interrupted;
        if (how == Ending::none && vtx_milliseconds() - begin >= limit_ms)
            how = Ending::time_limit;
    }
    output.log(guest.vm.output, true);

    vtx_lock();
    step.running.swap(step.finished);
    step.end = guest.vm.end;
    step.unknown_calls = guest.vm.unknown_calls;
    guest.vm.memory.read(TextScreen::address, step.screen, sizeof step.screen);
    vtx_unlock();
    return tell_end(guest);
}
// [run]

/// Makes a guest with this disk and runs it. Returns 0 if it ended with status 0, else a negative
/// errno, after a sentence in the log. With `told` a good end is logged, too.
int run_disk(Step &step, const Disk &disk, bool told) {
    Box<Guest> guest;
    if (!guest.allocate()) {
        vtx_log_error("no memory for the guest");
        return -VTX_ENOMEM;
    }
    if (const int error = guest->prepare(disk, memory_mb))
        return error;
    vtx_lock();
    guest->vm.keyboard.type(keys);
    vtx_unlock();
    const int error = run_guest(step, *guest);
    if (told && error == 0)
        vtx_log(
            "it ended with status 0 after %llu VM exits: %llu VMLAUNCH, %llu VMRESUME",
            ull{guest->counts.exits}, ull{guest->counts.launches},
            ull{guest->counts.exits - guest->counts.launches});
    return error;
}

/// Runs a guest that comes with the step.
int demonstrate(Step &step, const char *name, const std::byte *begin, const std::byte *end) {
    const Disk disk{begin, static_cast<std::size_t>(end - begin)};
    vtx_log(
        "guest \"%s\": a boot sector at 0000:7c00 in real mode, %u MiB of RAM", name, memory_mb);
    return run_disk(step, disk, true);
}

/// The file `guest`: one write is one run. Writers come one after the other.
int run_written(const void *bytes, std::size_t size) {
    const Disk disk{static_cast<const std::byte *>(bytes), size};
    if (!disk.can_boot()) {
        vtx_log_error(
            "this is no boot image: it must have at least 512 bytes, with 0x55 and 0xaa at offset "
            "510, where a BIOS looks for them");
        return -VTX_ENOEXEC;
    }
    return run_disk(*loaded, disk, false);
}

/// The file `exits`.
void show_exits(vtx_table *table) {
    vtx_lock();
    loaded->finished->show(table);
    show_unknown_calls(loaded->unknown_calls, table);
    show_end(loaded->end, table);
    vtx_unlock();
}

/// The file `screen`.
void show_screen(vtx_table *table) {
    vtx_lock();
    show_text(loaded->screen, table);
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
    const int error = demonstrate(*step, "modes", modes_guest, modes_guest_end);
    if (error != 0)
        return error;

    loaded = step.release();
    vtx_program_file_create("guest", std::size_t{Disk::limit}, run_written);
    vtx_file_create("exits", show_exits);
    vtx_file_create("screen", show_screen);
    vtx_log("write a boot image to /sys/kernel/debug/step08_real_mode/guest to run it; see exits "
            "and screen there");
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_files_remove();
    Box<Step>{loaded}.reset();
    vtx_log("unloaded: no guest is running, and nothing is left");
}
