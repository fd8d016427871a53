// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 07: guests own their memory, because EPT is below it.
#include <cstddef>
#include <cstdint>

#include "guest.hpp"
#include "kernel.h"
#include "page.hpp"
#include "run.hpp"
#include "speculation.hpp"
#include "spoil.hpp"
#include "step.h"
#include "tell.hpp"
#include "trace.hpp"
#include "vmx_check.hpp"

using namespace vtx;

/// In guests.S.
extern "C" const std::byte owner_guest[], owner_guest_end[];

namespace {

using ull = unsigned long long;

/// What stays from insmod to rmmod: the trace of the current run, and the trace and the end of the
/// last finished run, which the file `exits` shows.
struct Step {
    Box<Trace> running, finished;
    End end;
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
    vtx_unlock();
    return tell_end(guest);
}
// [run]

/// Makes a guest of a program and runs it. Returns 0 if it ended with status 0, else a negative
/// errno, after a sentence in the log. With `told` a good end is logged, too.
int run_program(Step &step, const std::byte *program, std::size_t size, bool told) {
    Box<Guest> guest;
    if (!guest.allocate()) {
        vtx_log_error("no memory for the guest");
        return -VTX_ENOMEM;
    }
    if (const int error = guest->prepare(program, size, memory_mb))
        return error;
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
    const auto size = static_cast<std::size_t>(end - begin);
    vtx_log("guest \"%s\": %zu bytes at address 0x1000, %u MiB of RAM", name, size, memory_mb);
    return run_program(step, begin, size, true);
}

/// True for an ELF file, as a linker writes it unless it is told otherwise: its first bytes are
/// headers, not instructions.
bool is_elf(const void *bytes, std::size_t size) {
    constexpr char magic[] = {0x7f, 'E', 'L', 'F'};
    return size >= sizeof magic && __builtin_memcmp(bytes, magic, sizeof magic) == 0;
}

/// The file `guest`: one write is one run. Writers come one after the other.
int run_written(const void *bytes, std::size_t size) {
    if (is_elf(bytes, size)) {
        vtx_log_error("this guest is an ELF file, and a flat binary is wanted: link it with "
                      "-Wl,--oformat=binary, or convert it with objcopy -O binary");
        return -VTX_ENOEXEC;
    }
    return run_program(*loaded, static_cast<const std::byte *>(bytes), size, false);
}

/// The file `exits`.
void show_exits(vtx_table *table) {
    vtx_lock();
    loaded->finished->show(table);
    show_end(loaded->end, table);
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
    const int error = demonstrate(*step, "owner", owner_guest, owner_guest_end);
    if (spoil != SPOIL_NONE && step->end.how != Ending::none) // else it was not entered: check
        return tell_spoiled(spoil, step->end);
    if (error != 0)
        return error;

    loaded = step.release();
    vtx_program_file_create("guest", std::size_t{GuestMemory::program_limit}, run_written);
    vtx_file_create("exits", show_exits);
    vtx_log("write a program to /sys/kernel/debug/step07_ept/guest to run it; see exits there");
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_files_remove();
    Box<Step>{loaded}.reset();
    vtx_log("unloaded: no guest is running, and nothing is left");
}
