// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 10: Linux as a guest, with its console in a file.
#include <cstddef>
#include <cstdint>

#include "blob.hpp"
#include "guest.hpp"
#include "interrupts.hpp"
#include "kernel.h"
#include "load_linux.hpp"
#include "page.hpp"
#include "run.hpp"
#include "speculation.hpp"
#include "step.h"
#include "tell.hpp"
#include "trace.hpp"
#include "vmx/log_failure.hpp"
#include "vmx_check.hpp"
#include "vmx_operation.hpp"

using namespace vtx;

namespace {

using ull = unsigned long long;

/// What the guest's Linux is told, as somebody wrote it into the file `cmdline`.
struct CommandLine {
    static constexpr std::size_t limit = 4097; // echo adds a newline, which is cut

    char text[limit + 1] = "console=ttyS0 cryptomgr.notests";
    std::size_t size = __builtin_strlen(text);

    /// Appends bytes. Returns 0, or -EFBIG.
    int append(const void *bytes, std::size_t more) {
        if (more > limit - size)
            return -VTX_EFBIG;
        __builtin_memcpy(text + size, bytes, more);
        size += more;
        text[size] = '\0';
        return 0;
    }

    /// Cuts what echo has added.
    void cut_newline() {
        if (size > 0 && text[size - 1] == '\n')
            text[--size] = '\0';
    }
};

/// A run that is over, as the files `status` and `exits` show it.
struct LastRun {
    End end{};
    RunCounts counts{};
    PortCounts ports{};
    std::uint64_t injected = 0, milliseconds = 0;
};

/// What stays from insmod to rmmod. vtx_lock() protects it: who holds it finds the boxes either
/// full or empty, and the files as somebody has written them.
struct Step {
    Blob kernel, initrd;
    CommandLine command_line;
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
    step.last = {
        .end = guest.vm.end,
        .counts = guest.counts,
        .ports = guest.vm.ports,
        .injected = guest.vcpu.events.injected,
        .milliseconds = guest.vm.clock.milliseconds()};
    step.ran = true;
    step.guest.reset();
    vtx_console_end(); // before anybody can start the next guest
    vtx_unlock();
}

// [console]
/// Gives the serial line what somebody has typed, as far as it has room.
void type_into(Vm &vm) {
    std::uint8_t byte = 0;
    while (vm.uart.room() > 0 && vtx_console_take(&byte))
        vm.uart.receive(byte);
    vm.pic.set_line(Uart::irq, vm.uart.interrupts());
}

/// Hands out what the guest has sent.
void hand_out(Output &output) {
    vtx_console_put(output.bytes, output.size);
    output.size = 0;
}
// [console]

// [run]
/// The thread. Runs the guest to its end: from scope to scope, with the host at work in between,
/// and asleep while the guest is.
void run_guest() {
    Step &step = *loaded;
    Guest &guest = *step.guest;
    Ending &how = guest.vm.end.how;

    step.running->begin(trace);
    while (how == Ending::none) {
        type_into(guest.vm);
        if (wait_until_it_runs(guest))
            run_scope(guest, [&](CurrentVmcs &vmcs, ExitReason reason) {
                step.running->record(vmcs, reason);
            });
        hand_out(guest.vm.output);
        vtx_give_way();
        if (how == Ending::none && vtx_stop_requested())
            how = Ending::stopped;
    }
    tell_end(guest);
    finish(step);
}
// [run]

// [start]
/// Makes a guest of what was written to the files, and starts it. Holding the lock. Returns 0, or a
/// negative errno after a sentence in the log.
int start(Step &step) {
    if (step.guest)
        return -VTX_EBUSY;
    if (step.kernel.size() == 0) {
        vtx_log_error("there is no kernel: write one to the file kernel first");
        return -VTX_EINVAL;
    }
    step.command_line.cut_newline();
    if (!step.guest.allocate()) {
        vtx_log_error("no memory for the guest");
        return -VTX_ENOMEM;
    }
    const LinuxFiles files{step.kernel, step.initrd, step.command_line.text};
    int error = step.guest->prepare(files, memory_mb, entry_bits == 64);
    if (error == 0) {
        vtx_console_begin();
        error = vtx_thread_start(run_guest);
        if (error != 0) {
            vtx_log_error("no thread for the guest: error %d", -error);
            vtx_console_end();
        }
    }
    if (error != 0)
        step.guest.reset();
    return error;
}

/// The file `run`: 1 starts the guest, 0 stops it and waits until it has ended.
int command(unsigned number) {
    if (number > 1)
        return -VTX_EINVAL;
    if (number == 0) {
        vtx_lock(); // somebody may just be starting one
        vtx_unlock();
        vtx_thread_stop(); // not with the lock, which the thread takes last
        return 0;
    }
    vtx_lock();
    const int error = start(*loaded);
    vtx_unlock();
    return error;
}
// [start]

/// What to do with one of the files that are written, if no guest runs: then it may not change.
template <typename Change> int change(Change change_it) {
    vtx_lock();
    const int error = loaded->guest ? -VTX_EBUSY : change_it(*loaded);
    vtx_unlock();
    return error;
}

int empty_kernel() {
    return change([](Step &step) { return step.kernel.clear(), 0; });
}
int append_kernel(const void *bytes, std::size_t size) {
    return change([&](Step &step) { return step.kernel.append(bytes, size); });
}
int empty_initrd() {
    return change([](Step &step) { return step.initrd.clear(), 0; });
}
int append_initrd(const void *bytes, std::size_t size) {
    return change([&](Step &step) { return step.initrd.append(bytes, size); });
}
int empty_command_line() {
    return change([](Step &step) {
        step.command_line.size = 0;
        step.command_line.text[0] = '\0';
        return 0;
    });
}
int append_command_line(const void *bytes, std::size_t size) {
    return change([&](Step &step) { return step.command_line.append(bytes, size); });
}
void show_command_line(vtx_table *table) {
    vtx_lock();
    loaded->command_line.cut_newline();
    vtx_print(table, "%s\n", loaded->command_line.text);
    vtx_unlock();
}

constinit const vtx_append_file kernel_file{empty_kernel, append_kernel, nullptr},
    initrd_file{empty_initrd, append_initrd, nullptr},
    command_line_file{empty_command_line, append_command_line, show_command_line};

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
    show_ports(loaded->last.ports, table);
    show_end(loaded->last.end, table);
    vtx_unlock();
}

/// Enters VMX operation once, and leaves it again. So if somebody else holds VMX, insmod says so,
/// and not only the first guest. Returns 0, or a negative errno after a sentence in the log.
int try_vmx(const Vcpu &vcpu) {
    Failure failure;
    {
        const InterruptsOff interrupts_off;
        const VmxOperation operation(vcpu.vmxon, vcpu.vmx, failure);
    }
    if (failure)
        log_failure(failure);
    return failure.error();
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;
    Box<Vcpu> vcpu; // what this CPU lacks is said now, not when the first guest starts
    Box<Step> step;
    if (!vcpu.allocate() || !step.allocate() || !step->running.allocate() ||
        !step->finished.allocate()) {
        vtx_log_error("no memory for the step's data");
        return -VTX_ENOMEM;
    }
    if (const int error = vcpu->prepare())
        return error;
    if (const int error = try_vmx(*vcpu))
        return error;
    vcpu->speculation.tell();

    loaded = step.release();
    vtx_append_file_create("kernel", &kernel_file);
    vtx_append_file_create("initrd", &initrd_file);
    vtx_append_file_create("cmdline", &command_line_file);
    vtx_command_file_create("run", command);
    vtx_file_create("status", show_status);
    vtx_console_file_create("console");
    vtx_file_create("exits", show_exits);
    vtx_log("ready: write a Linux kernel to /sys/kernel/debug/step10_linux/kernel, an initrd to "
            "initrd, and 1 to run; its console is in the file console");
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
