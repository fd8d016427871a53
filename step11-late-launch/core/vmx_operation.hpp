// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMX operation as an object: entered by its constructor, left by its destructor.
#pragma once

#include <cstdint>

#include "page.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/failure.hpp"
#include "vmx/instructions.hpp"
#include "x86/control_registers.hpp"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The page that VMXON needs. It belongs to the processor until VMXOFF. Software writes the VMCS
/// revision identifier into its first four bytes, and never anything else.
/// \sdm{vmxon-region}
class VmxonRegion {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate(const VmxCapabilities &vmx) {
        if (!page_.allocate())
            return false;
        // [exercise 02-1 02-2]
        const std::uint32_t revision = vmx.revision();
        __builtin_memcpy(page_.bytes(), &revision, sizeof revision);
        // [exercise 02-1 02-2]
        return true;
    }

    PhysicalAddress physical() const { return page_.physical(); }

    /// VMXOFF failed: the processor may still write to the page, so it is never given back.
    void keep() const { page_.keep(); }

private:
    Page page_;
};

/// VMX operation on this logical processor, for as long as the object lives.
///
/// Interrupts are off from before the constructor until after the destructor, so nothing else of
/// the kernel runs on this processor meanwhile and sees CR4.VMXE set: not KVM, not a migration to
/// another processor, not the code that rewrites CR4 from the kernel's own copy of it.
class VmxOperation {
public:
    /// Enters VMX operation. Refuses, and changes nothing, if this processor's VMX differs from
    /// `vmx`, if somebody else uses it or would be disturbed, or if CR0, CR4 or VMXON itself do not
    /// allow it. `failure` then says which: pass an empty one that outlives this object.
    /// \sdm{enabling-and-entering-vmx-operation} \sdm{restrictions-on-vmx-operation}
    VmxOperation(const VmxonRegion &region, const VmxCapabilities &vmx, Failure &failure)
        : region_(region), failure_(failure), cr4_before_(read_cr4()) {
        failure_.note({.kind = obstacle(vmx)});
        // Some bits of CR0 and CR4 must be 1, and some must be 0. A running Linux has them right.
        // If one day it does not, we refuse, because changing them would break Linux.
        const std::uint64_t cr4 = cr4_before_ | Cr4::vmxe;
        if (violated_fixed_bits(read_cr0(), vmx.cr0_fixed0, vmx.cr0_fixed1) != 0)
            failure_.note(
                {.kind = Failure::Kind::unfit_register, .name = "CR0", .value = read_cr0()});
        if (violated_fixed_bits(cr4, vmx.cr4_fixed0, vmx.cr4_fixed1) != 0)
            failure_.note({.kind = Failure::Kind::unfit_register, .name = "CR4", .value = cr4});
        if (failure_)
            return;

        // [exercise 02-3]
        write_cr4(cr4);
        const Result result = vmxon(region.physical());
        if (!result.ok()) {
            write_cr4(cr4_before_);
            failure_.note(Failure::instruction(result));
            return;
        }
        entered_ = true;
        // [exercise 02-3]
    }

    /// Leaves VMX operation, and puts CR4 back. If VMXOFF fails, the processor stays in VMX
    /// operation: CR4.VMXE cannot be cleared there, and the region cannot be given back.
    ~VmxOperation() {
        if (!entered_)
            return;
        // [exercise 02-4]
        const Result left = vmxoff();
        if (left.ok()) {
            write_cr4(cr4_before_);
        } else {
            failure_.note(Failure::instruction(left));
            region_.keep();
        }
        // [exercise 02-4]
    }

    VmxOperation(const VmxOperation &) = delete;
    VmxOperation &operator=(const VmxOperation &) = delete;

private:
    /// Why not even to try; none if there is no reason.
    Failure::Kind obstacle(const VmxCapabilities &vmx) const {
        if ((cr4_before_ & Cr4::vmxe) != 0)
            return Failure::Kind::vmx_in_use;
        // `vmx` was read on the processor that loaded the module. Nothing promises that the others
        // have the same capabilities.
        if (read_capabilities(read_msr_safe) != vmx)
            return Failure::Kind::other_capabilities;
        if (is_traced())
            return Failure::Kind::tracing;
        // Precise events of perf: the processor writes a record into a buffer at a linear address
        // of Linux, and in the guest there is no memory at that address.
        if (read_msr_safe(Msr::pebs_enable).value_or(0) != 0)
            return Failure::Kind::sampling;
        return Failure::Kind::none;
    }

    /// True if Intel Processor Trace is running. On some processors VMXON would stop the trace, and
    /// whoever started it would not know. Bochs has no such trace, so we have never seen this true.
    static bool is_traced() {
        static constexpr std::uint32_t processor_trace = 1u << 25; // CPUID.7.0:EBX
        static constexpr std::uint64_t trace_en = 1;               // IA32_RTIT_CTL
        return cpuid(0).eax >= 7 && (cpuid(7).ebx & processor_trace) != 0 &&
               (read_msr_safe(Msr::rtit_ctl).value_or(0) & trace_en) != 0;
    }

    const VmxonRegion &region_;
    Failure &failure_;
    std::uint64_t cr4_before_;
    bool entered_ = false;
};

} // namespace vtx
