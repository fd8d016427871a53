// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 02: VMX operation, entered, proved and left on every logical processor.
#include <cstdint>

#include "kernel.h"
#include "step.h"
#include "vmx/capabilities.hpp"
#include "vmx/failure.hpp"
#include "vmx/instructions.hpp"
#include "vmx/log_failure.hpp"
#include "vmx/require_capabilities.hpp"
#include "vmx_check.hpp"
#include "vmx_operation.hpp"
#include "x86/control_registers.hpp"

using namespace vtx;

namespace {

/// What one logical processor did, kept until printing is allowed again.
struct Visit {
    VmxonRegion &region;
    const VmxCapabilities &vmx;

    VmxCheck check{};
    Failure failure{};
    std::uint64_t cr4_before = 0, cr4_inside = 0, cr4_after = 0;
    Result before{}, inside{}, second{}, after{};
    PhysicalAddress current{};
    unsigned processors = 0;

    /// True if every instruction did what the SDM says.
    bool as_expected() const {
        return before.status == Status::fault && inside.ok() &&
               second.status == Status::fail_invalid && after.status == Status::fault &&
               cr4_inside == (cr4_before | Cr4::vmxe) && cr4_after == cr4_before;
    }
};

// [scope]
/// Runs on the visited processor, with interrupts off.
void enter_and_leave(void *context) {
    Visit &visit = *static_cast<Visit *>(context);
    PhysicalAddress unused{};

    visit.check = check_vmx();
    if (!visit.check.allowed() || !visit.check.locked())
        return;
    visit.cr4_before = read_cr4();
    visit.before = vmptrst(unused);
    {
        const VmxOperation operation(visit.region, visit.vmx, visit.failure);
        if (visit.failure)
            return;
        visit.cr4_inside = read_cr4();
        visit.inside = vmptrst(visit.current);
        visit.second = vmxon(visit.region.physical());
    }
    visit.after = vmptrst(unused);
    visit.cr4_after = read_cr4();
}
// [scope]

/// Logs what the first processor did, line by line, and for the others only what went wrong.
int tell(unsigned int cpu, void *context) {
    using ull = unsigned long long;
    Visit &visit = *static_cast<Visit *>(context);

    if (const int error = refuse_without_vmx(visit.check))
        return error;
    if (visit.failure) {
        log_failure(visit.failure);
        return visit.failure.error();
    }
    if (visit.processors++ == 0) {
        vtx_log(
            "cpu %u: CR4 is %#llx, VMXE (bit 13) is 0", cpu, static_cast<ull>(visit.cr4_before));
        vtx_log("cpu %u: VMPTRST before VMXON: %s", cpu, status_name(visit.before.status));
        vtx_log(
            "cpu %u: VMXON: in VMX operation, CR4 is %#llx", cpu,
            static_cast<ull>(visit.cr4_inside));
        vtx_log(
            "cpu %u: VMPTRST inside: %s, current-VMCS pointer %#llx (none)", cpu,
            status_name(visit.inside.status), static_cast<ull>(visit.current.value));
        vtx_log("cpu %u: VMXON a second time: %s", cpu, status_name(visit.second.status));
        vtx_log(
            "cpu %u: VMXOFF: out of VMX operation, CR4 is %#llx", cpu,
            static_cast<ull>(visit.cr4_after));
        vtx_log("cpu %u: VMPTRST after VMXOFF: %s", cpu, status_name(visit.after.status));
    }
    if (!visit.as_expected()) {
        vtx_log_error(
            "cpu %u did not do what the SDM says: before %s, inside %s, second VMXON %s, "
            "after %s",
            cpu, status_name(visit.before.status), status_name(visit.inside.status),
            status_name(visit.second.status), status_name(visit.after.status));
        return -VTX_EIO;
    }
    return 0;
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;
    VmxCapabilities vmx;
    if (const int error = require_capabilities(vmx))
        return error;

    VmxonRegion region;
    if (!region.allocate(vmx)) {
        vtx_log_error("no memory for the VMXON region");
        return -VTX_ENOMEM;
    }
    vtx_log(
        "VMXON region at %#llx, VMCS revision identifier %#x",
        static_cast<unsigned long long>(region.physical().value), vmx.revision());

    // One region serves all processors, because they enter and leave one after the other.
    Visit visit{region, vmx};
    if (const int error = vtx_visit_cpus(enter_and_leave, tell, &visit))
        return error;
    vtx_log(
        "%u logical processor%s entered and left VMX operation in the same way", visit.processors,
        visit.processors == 1 ? "" : "s");
    vtx_log_fault_points();
    return 0;
}

void step_stop() {
    vtx_log("unloaded: VMX operation was left before insmod returned, so there is nothing to undo");
}
