// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMCALL: what a guest can ask of this hypervisor.
#pragma once

#include <cstdint>

#include "exit.hpp"

namespace vtx {

/// Hypercall numbers, in RAX. RAX also takes the result: 0 or more, or a negative errno.
enum class Hypercall : std::uint64_t {
    exit = 0,  ///< RDI: status. Ends the guest.
    print = 1, ///< RDI: guest-physical address, RSI: length, at most 4096 bytes. Prints.
               ///< Gives 0, -EFAULT or -ENOSPC.
    time = 2,  ///< Gives the time-stamp counter.
};

/// A negative errno in a 64-bit register.
constexpr std::uint64_t error_result(int number) {
    return static_cast<std::uint64_t>(std::int64_t{-number});
}

/// Hypercall `print`. The address and the length come from the guest, so both are checked before
/// any memory is touched.
inline std::uint64_t print(Vm &vm, std::uint64_t address, std::uint64_t length) {
    static constexpr std::uint64_t longest = 4096;
    if (length > longest || !vm.memory.contains(address, length))
        return error_result(VTX_EFAULT);
    if (length > Output::limit - vm.output.size)
        return error_result(VTX_ENOSPC);
    for (std::uint64_t i = 0; i < length; i++)
        vm.output.put(vm.memory.byte_at(address + i));
    return 0;
}

// [vmcall]
/// Does what the guest asks for, and lets it go on behind its VMCALL.
/// \sdm{vmcall-call-to-vm-monitor}
inline Action handle_vmcall(const Exit &exit) {
    GuestRegisters &registers = exit.vcpu.registers;

    switch (static_cast<Hypercall>(registers.rax)) {
    case Hypercall::exit:
        exit.vm.end.status = registers.rdi;
        return exit.end(Ending::status);
    case Hypercall::print:
        registers.rax = print(exit.vm, registers.rdi, registers.rsi);
        break;
    case Hypercall::time:
        registers.rax = __builtin_ia32_rdtsc();
        break;
    default:
        registers.rax = error_result(VTX_ENOSYS);
    }
    return exit.skip_instruction();
}
// [vmcall]

} // namespace vtx
