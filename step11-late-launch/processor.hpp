// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One logical processor, and what all of them share.
#pragma once

#include <cstdint>
#include <optional>

#include "ept.hpp"
#include "msr_bitmap.hpp"
#include "root_operation.hpp"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx_operation.hpp"
#include "watched_page.hpp"

namespace vtx {

/// What all processors share: decided when the module is loaded, and not changed afterwards.
struct Hypervisor {
    VmxCapabilities vmx;
    VmcsControls controls;
    MemoryTypes types;
    Ept ept;
    MsrBitmap msrs;
    WatchedPage watched;
    bool isolated = false;    ///< Linux gives programs page tables without the kernel (PTI).
    void (*tell)() = nullptr; ///< Puts reports in the log. Called by Linux, not in root operation.
};

/// Why a processor left VMX operation although nobody asked it to.
struct Report {
    ExitReason reason{};                  ///< The exit that we do not handle.
    std::uint64_t rip = 0;                ///< Of the guest.
    std::uint64_t detail = 0;             ///< The exit qualification, or the number of an MSR.
    std::uint64_t address = 0;            ///< Guest-physical, of EPT violations.
    const char *root_exception = nullptr; ///< Or our own handler faulted: the exception.
};

/// A logical processor. Everything in here is touched by this processor only, in root operation or
/// with interrupts off; others only read the counts.
struct Processor {
    /// Where it is.
    enum class State : std::uint8_t {
        outside,       ///< Not in VMX operation.
        guest,         ///< Linux is a guest on it.
        devirtualized, ///< It left because of an exit that we do not handle; `report` says which.
    };

    /// It leaves without being asked. `report` or `failure` says why, and tell() logs it soon.
    void give_up() {
        state = State::devirtualized;
        to_tell = true;
    }

    Hypervisor *shared = nullptr;
    unsigned number = 0;
    State state = State::outside;
    bool launched = false; ///< There was a VM exit since VMLAUNCH, so VMLAUNCH has succeeded.
    Failure failure{};
    Report report{};
    bool to_tell = false; ///< The report is new: nobody has put it in the log yet.
    std::uint64_t exits[exit_reason_limit]{};

    VmxonRegion vmxon;
    VmcsRegion region;
    RootOperation root;
    // Not scopes of a function here, in which interrupts are off: they begin in enter() and end in
    // leave(), and Linux runs in between.
    std::optional<VmxOperation> operation;
    std::optional<CurrentVmcs> vmcs;

    /// False if there is no memory. Called once.
    [[nodiscard]] bool allocate(unsigned cpu, Hypervisor &hypervisor) {
        number = cpu;
        shared = &hypervisor;
        return vmxon.allocate(hypervisor.vmx) && region.allocate(hypervisor.vmx) &&
               root.allocate(*this);
    }
};

} // namespace vtx
