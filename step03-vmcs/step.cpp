// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 03: a VMCS, made current, filled, read back, and cleared.
#include <cstdint>

#include "guest_state.hpp"
#include "host_state.hpp"
#include "interrupts.hpp"
#include "kernel.h"
#include "page.hpp"
#include "provoke.hpp"
#include "step.h"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/log_failure.hpp"
#include "vmx/require_capabilities.hpp"
#include "vmx/snapshot.hpp"
#include "vmx_check.hpp"
#include "vmx_operation.hpp"

using namespace vtx;

namespace {

using ull = unsigned long long;

/// What this step needs, and what it has seen.
struct Step {
    VmxCapabilities vmx{};
    VmcsControls controls{};
    VmxonRegion vmxon_region;
    VmcsRegion region, odd_region;

    PhysicalAddress current{};
    unsigned fields_checked = 0;
    Provoked provoked{};
    VmcsSnapshot snapshot{};

    /// Takes the memory. The odd region has the one revision identifier that cannot be right.
    bool allocate() {
        if (!vmxon_region.allocate(vmx) || !region.allocate(vmx) || !odd_region.allocate(vmx))
            return false;
        odd_region.set_revision(vmx.revision() ^ 1);
        return true;
    }
};

/// Lives from insmod to rmmod, because the file `vmcs` shows its snapshot.
constinit Step *loaded = nullptr;

// [fill]
/// One scope: VMX operation, a current VMCS, every field written and read back. There is no guest
/// yet, so the guest has no page tables, no first instruction and no stack: CR3, RIP and RSP are
/// 0. HOST_RSP and HOST_RIP are missing too: they belong to the code that enters a guest.
void fill_vmcs(Step &step, Failure &failure) {
    const InterruptsOff interrupts_off;
    const HostState host = HostState::capture();
    const VmxOperation operation(step.vmxon_region, step.vmx, failure);
    if (failure)
        return;

    CurrentVmcs vmcs(step.region, failure);
    write_controls(vmcs, step.controls);
    host.write_to(vmcs, step.controls);
    write_guest_state(vmcs, step.vmx, step.controls, {0, 0, 0});
    step.fields_checked = vmcs.fields_checked();

    if (const Result result = vmptrst(step.current); !result.ok())
        failure.note(Failure::instruction(result));
    step.provoked.provoke(step.vmxon_region, step.odd_region);
    vmcs.read_all(step.snapshot);
}
// [fill]

/// The file `vmcs`: every field that this processor has.
void show_vmcs(vtx_table *table) {
    vtx_print(table, "# all fields of the VMCS that this processor has: SDM name = value\n");
    loaded->snapshot.for_each([&](const FieldInfo &field, std::uint64_t value) {
        vtx_print(table, "%s = %#llx\n", field.name, static_cast<ull>(value));
    });
}

void tell(const Step &step) {
    vtx_log(
        "VMCLEAR, VMPTRLD: the VMCS at %#llx is current",
        static_cast<ull>(step.region.physical().value));
    vtx_log("VMPTRST says the same: %s", step.current == step.region.physical() ? "yes" : "no");
    vtx_log(
        "pin-based controls %#x, primary %#x, secondary %#x", step.controls.pin.bits,
        step.controls.primary.bits, step.controls.secondary.bits);
    vtx_log(
        "VM-exit controls %#x, VM-entry controls %#x", step.controls.exit.bits,
        step.controls.entry.bits);
    vtx_log(
        "%u fields written with VMWRITE, and each read back the same with VMREAD",
        step.fields_checked);
    step.provoked.tell();
    vtx_log(
        "this processor has %zu VMCS fields: see /sys/kernel/debug/step03_vmcs/vmcs",
        step.snapshot.known_count());
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;

    Box<Step> step;
    if (!step.allocate()) {
        vtx_log_error("no memory for the step's data");
        return -VTX_ENOMEM;
    }
    if (const int error = require_capabilities(step->vmx))
        return error;
    if (const int error = choose_controls(step->vmx, step->controls))
        return error;
    if (!step->allocate()) {
        vtx_log_error("no memory for the VMXON region and the VMCS");
        return -VTX_ENOMEM;
    }

    Failure failure;
    fill_vmcs(*step, failure);
    if (failure) {
        log_failure(failure);
        return failure.error();
    }
    tell(*step);
    if (step->current != step->region.physical() ||
        !step->provoked.as_expected(step->vmx.writes_read_only_fields())) {
        vtx_log_error("the processor did not answer as the SDM says");
        return -VTX_EIO;
    }

    loaded = step.release();
    vtx_file_create("vmcs", show_vmcs);
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_files_remove();
    Box<Step>{loaded}.reset();
    vtx_log("unloaded: the VMCS was cleared before VMXOFF, and its page is free again");
}
