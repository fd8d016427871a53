// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// IN and OUT, and their string forms INS and OUTS.
#pragma once

#include <cstdint>

#include "devices.hpp"
#include "exit.hpp"
#include "guest_paging.hpp"
#include "vmx/qualifications.hpp"

namespace vtx {

/// How the guest's addresses are translated just now.
inline PagingState paging_state(const Exit &exit) {
    CurrentVmcs &vmcs = exit.vmcs;
    const AccessRights stack{vmcs.read(Field32::guest_ss_access_rights)};
    return {
        .cr0 = vmcs.read(FieldNatural::guest_cr0),
        .cr3 = vmcs.read(FieldNatural::guest_cr3),
        .cr4 = vmcs.read(FieldNatural::guest_cr4),
        .efer = vmcs.read(Field64::guest_efer),
        .pdptes =
            {vmcs.read(Field64::guest_pdpte_0), vmcs.read(Field64::guest_pdpte_1),
             vmcs.read(Field64::guest_pdpte_2), vmcs.read(Field64::guest_pdpte_3)},
        .user = stack.dpl() == 3};
}

/// Adds `by` to the lower `bits` of a register. In 64-bit code writing 32 bits clears the others.
inline void step_register(std::uint64_t &value, std::uint64_t by, unsigned bits) {
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    const std::uint64_t kept = bits == 16 ? value & ~mask : 0;
    value = kept | ((value + by) & mask);
}

// [string]
/// One element of INS or OUTS. The exit tells the linear address. With REP the guest executes the
/// instruction again until RCX is 0, so interrupts come in between, as on a real machine.
/// \sdm{table-exit-qualification-for-i-o-instructions}
inline Action handle_string_io(const Exit &exit, const IoAccess &access) {
    CurrentVmcs &vmcs = exit.vmcs;
    GuestRegisters &registers = exit.vcpu.registers;
    // Bits 9:7 of the instruction information: 16, 32 or 64 bits of address.
    const unsigned bits = 16u << (vmcs.read(Field32::exit_instruction_information) >> 7 & 3);
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    if (access.rep && (registers.rcx & mask) == 0)
        return exit.skip_instruction();

    const std::uint64_t linear = vmcs.read(FieldNatural::guest_linear_address);
    const PagingState paging = paging_state(exit);
    std::uint32_t value = 0;
    std::uint64_t bytes[4]; // guest-physical, because an element may cross a page
    for (unsigned i = 0; i < access.size; i++) {
        const Translation to = translate(exit.vm.memory, paging, linear + i, access.in);
        if (!to.ok) {
            write_cr2(linear + i);
            return exit.raise(Vector::page_fault, to.error_code);
        }
        bytes[i] = to.physical;
    }
    if (access.in)
        value = read_port(exit.vm, access.port, access.size);
    for (unsigned i = 0; i < access.size; i++) {
        auto byte = static_cast<std::uint8_t>(value >> 8 * i);
        const bool is_ram = access.in ? exit.vm.memory.write(bytes[i], &byte, 1)
                                      : exit.vm.memory.read(bytes[i], &byte, 1);
        if (!is_ram) {
            exit.vm.end.address = bytes[i];
            exit.vm.end.access = {.read = !access.in, .write = access.in};
            return exit.end(Ending::ept_violation);
        }
        if (!access.in)
            value |= std::uint32_t{byte} << 8 * i;
    }
    if (!access.in)
        write_port(exit.vm, access.port, access.size, value);

    const bool down = (vmcs.read(FieldNatural::guest_rflags) & Rflags::df) != 0;
    const std::uint64_t by = down ? 0 - std::uint64_t{access.size} : access.size;
    step_register(access.in ? registers.rdi : registers.rsi, by, bits);
    if (!access.rep)
        return exit.skip_instruction();
    step_register(registers.rcx, ~std::uint64_t{0}, bits);
    return (registers.rcx & mask) == 0 ? exit.skip_instruction() : Action::resume;
}
// [string]

// [io]
/// Exit reason 30. \sdm{table-exit-qualification-for-i-o-instructions}
inline Action handle_io(const Exit &exit) {
    const IoAccess access = decode_io_access(exit.qualification());
    std::uint64_t &rax = exit.vcpu.registers.rax;

    if (access.string)
        return handle_string_io(exit, access);
    // Writing EAX clears the upper half of RAX; writing AL or AX leaves the rest alone.
    const std::uint64_t mask = (std::uint64_t{1} << 8 * access.size) - 1;
    if (access.in)
        rax = (access.size == 4 ? 0 : rax & ~mask) |
              (read_port(exit.vm, access.port, access.size) & mask);
    else
        write_port(exit.vm, access.port, access.size, static_cast<std::uint32_t>(rax & mask));
    return exit.skip_instruction();
}
// [io]

} // namespace vtx
