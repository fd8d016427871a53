// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a processor finds after a VM exit: a stack, an IDT and page tables that are ours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host_state.hpp"
#include "page.hpp"
#include "root_frame.h"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "x86/control_registers.hpp"
#include "x86/exceptions.hpp"
#include "x86/segments.hpp"

/// In late_launch.S: HOST_RIP, and the handlers in our IDT. Only their addresses are used.
extern "C" const char late_exit[], root_nmi[], root_machine_check[], root_exceptions[];

namespace vtx {

/// The surroundings of the exit handler on one processor. They belong to no task, so they stay when
/// the task that loaded the module is gone.
class RootOperation {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate(Processor &processor) {
        frame.self = &frame;
        frame.processor = &processor;
        for (unsigned vector = 0; vector < vectors; vector++)
            set_gate(vector, root_exceptions + vector * std::size_t{16});
        set_gate(static_cast<unsigned>(Vector::nmi), root_nmi);
        set_gate(static_cast<unsigned>(Vector::machine_check), root_machine_check);
        return tables_.allocate();
    }

    /// Writes the host-state area. `now` is the processor's state; GDT and TSS stay Linux's, which
    /// has one of each per processor in the kernel's half. \sdm{host-state-area}
    void write_to(CurrentVmcs &vmcs, const VmcsControls &controls, const HostState &now) {
        frame.pending = 0;
        vtx_copy_kernel_half(tables_.bytes());
        now.write_to(vmcs, controls);
        vmcs.write_checked(FieldNatural::host_cr3, tables_.physical().value);
        // Linux's indirect-branch tracking and shadow stacks keep their state, unused, meanwhile.
        vmcs.write_checked(FieldNatural::host_cr4, read_cr4() & ~Cr4::cet);
        vmcs.write_checked(
            FieldNatural::host_idtr_base, reinterpret_cast<std::uint64_t>(&gates_[0]));
        vmcs.write_checked(FieldNatural::host_fs_base, reinterpret_cast<std::uint64_t>(&frame));
        vmcs.write_checked(FieldNatural::host_rsp, reinterpret_cast<std::uint64_t>(&frame));
        vmcs.write_checked(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(late_exit));
    }

private:
    static constexpr unsigned vectors = 32; // interrupts are off in root operation: no others come

    void set_gate(unsigned vector, const char *handler) {
        // An interrupt gate with CS of Linux's kernel and no stack of its own.
        // \sdm{64-bit-mode-idt}
        const auto address = reinterpret_cast<std::uint64_t>(handler);
        constexpr std::uint64_t present = 0x80, kernel_cs = 0x10;
        gates_[vector].low = (address & 0xffff) | kernel_cs << 16 |
                             (present | SystemType::interrupt_gate) << 40 |
                             (address >> 16 & 0xffff) << 48;
        gates_[vector].high = address >> 32;
    }

    struct {
        std::uint64_t low, high;
    } gates_[vectors]{};
    Page tables_; ///< The first level: its upper half is Linux's, the lower one is empty.

    alignas(16) std::byte stack_[4 * page_size - sizeof(RootFrame)]; ///< Grows down from `frame`.

public:
    RootFrame frame{}; ///< Right above the stack.
};

} // namespace vtx
