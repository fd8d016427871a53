// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What lies between loading step 04 and its first VM exit, part by part, in ticks of the
/// time-stamp counter; and how much memory a guest takes. What is measured is done as in_scope() of
/// scope.hpp does it, object by object.
#include <cstddef>
#include <cstdint>

#include "cpu_guest.hpp"
#include "host_repair.hpp"
#include "host_state.hpp"
#include "interrupts.hpp"
#include "kernel.h"
#include "scope.hpp"
#include "vm_entry.hpp"
#include "vmx_check.hpp"

using namespace vtx;

/// In step 04's guest.S.
extern "C" const std::byte first_guest[], first_guest_end[];

extern "C" int measure_parts(void);

namespace {

using ull = unsigned long long;

/// The parts, in their order.
enum Part : std::uint8_t {
    checks,
    pages,
    host_read,
    vmxon_done,
    vmptrld_done,
    host_written,
    guest_written,
    guest_left,
    scope_left,
    pages_freed,
    part_count,
};

constexpr const char *part_names[part_count] = {
    "may this CPU do it",
    "capabilities, controls, pages",
    "host state read",
    "CR4.VMXE, VMXON",
    "VMCLEAR, VMPTRLD",
    "host state written",
    "controls and guest state",
    "VMLAUNCH, guest, VM exit",
    "VMCLEAR, VMXOFF, host repaired",
    "pages given back",
};

/// The least that each part took in any round.
struct Least {
    std::uint64_t ticks[part_count];
    std::uint64_t last = 0;

    Least() {
        for (std::uint64_t &value : ticks)
            value = ~std::uint64_t{0};
    }

    void begin() { last = __builtin_ia32_rdtsc(); }

    /// A part is done, and the next one begins.
    void done(Part part) {
        const std::uint64_t now = __builtin_ia32_rdtsc();
        if (now - last < ticks[part])
            ticks[part] = now - last;
        last = __builtin_ia32_rdtsc();
    }
};

/// One scope. True if the guest was entered.
bool enter_once(const Machine &machine, const GuestMemory &memory, Least &least) {
    Failure failure;
    const InterruptsOff interrupts_off;
    OwedToHost owed;
    const HostState host = HostState::capture();
    const HostRepair repair(host);
    least.done(host_read);
    const VmxOperation operation(machine.vmxon, machine.vmx, failure);
    if (failure)
        return false;
    least.done(vmxon_done);
    CurrentVmcs vmcs(machine.region, failure);
    least.done(vmptrld_done);
    host.write_to(vmcs, machine.controls);
    vmcs.set(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(vm_exit));
    least.done(host_written);
    write_controls(vmcs, machine.controls);
    write_guest_state(
        vmcs, machine.vmx, machine.controls,
        {memory.cr3().value, GuestMemory::begin, GuestMemory::end});
    least.done(guest_written);
    GuestRegisters all{};
    GuestRegisters *registers = &all;
    ExitReason reason{};
    const bool entered = enter_guest(vmcs, registers, false, reason);
    least.done(guest_left);
    if (entered && reason == ExitReason::exception_or_nmi)
        owed.nmi = true; // the guest raises no exception
    return entered && !failure;
}

/// Load to first exit and back, once.
int measure_once(Least &least) {
    least.begin();
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;
    least.done(checks);
    {
        Machine machine;
        GuestMemory memory;
        if (const int error = machine.prepare())
            return error;
        if (!memory.allocate())
            return -VTX_ENOMEM;
        memory.load(first_guest, static_cast<std::size_t>(first_guest_end - first_guest));
        least.done(pages);
        if (!enter_once(machine, memory, least)) {
            vtx_log_error("the guest was not entered; step 04 says why");
            return -VTX_EIO;
        }
        least.done(scope_left);
    }
    least.done(pages_freed);
    return 0;
}

void tell_bytes(const char *what, std::size_t bytes) {
    vtx_log("bytes %llu %s", static_cast<ull>(bytes), what);
}

} // namespace

int measure_parts(void) {
    static constexpr unsigned rounds = 50;
    static constexpr std::size_t guest_pages = sizeof(GuestMemory) / sizeof(Page);
    Least least;

    for (unsigned round = 0; round < rounds; round++)
        if (const int error = measure_once(least))
            return error;
    for (unsigned part = 0; part < part_count; part++)
        vtx_log("part %llu %s", static_cast<ull>(least.ticks[part]), part_names[part]);

    tell_bytes("a guest's RAM and its page tables", guest_pages * page_size);
    tell_bytes("VMXON region and VMCS", 2 * page_size);
    tell_bytes("step 05's Guest, of which its output is most", sizeof(Guest));
    tell_bytes("of that what the VMCS does not hold of its registers", sizeof(GuestRegisters));
    tell_bytes("step 06, for each processor: CpuGuest (with Guest)", sizeof(CpuGuest));
    tell_bytes("step 06, for each processor: HostSnapshot", sizeof(HostSnapshot));
    return 0;
}
