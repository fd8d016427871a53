// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// IN and OUT, and their string forms INS and OUTS.
#pragma once

#include <cstdint>

#include "devices.hpp"
#include "exit.hpp"
#include "guest_paging.hpp"
#include "vmx/qualifications.hpp"
#include "x86/paging.hpp"
#include "x86/segments.hpp"

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

/// The limit and the access rights of a segment register, by its number in the VM-exit instruction
/// information.
struct SegmentFields {
    Field32 limit, rights;
};
inline constexpr SegmentFields segment_fields[] = {
    {Field32::guest_es_limit, Field32::guest_es_access_rights},
    {Field32::guest_cs_limit, Field32::guest_cs_access_rights},
    {Field32::guest_ss_limit, Field32::guest_ss_access_rights},
    {Field32::guest_ds_limit, Field32::guest_ds_access_rights},
    {Field32::guest_fs_limit, Field32::guest_fs_access_rights},
    {Field32::guest_gs_limit, Field32::guest_gs_access_rights}};

/// True if `size` bytes at `offset` are inside the segment, and it may be written to, or read.
inline bool segment_allows(
    AccessRights rights, std::uint32_t limit, std::uint64_t offset, unsigned size, bool write) {
    const bool code = rights.is_code();
    const unsigned type = rights.type();
    if (rights.is_unusable() || (write && (code || (type & SegmentType::writable) == 0)) ||
        (!write && code && (type & SegmentType::readable) == 0))
        return false;
    const std::uint64_t last = offset + size - 1;
    if (code || (type & SegmentType::expand_down) == 0)
        return last <= limit;
    return offset > limit && last <= (rights.is_default_big() ? 0xffffffff : 0xffff);
}

/// True if a string operand may be where it is. The exit comes before the processor has looked, and
/// of an unusable segment it does not even tell the address.
/// \sdm{relative-priority-of-faults-and-vm-exits}
inline bool operand_is_allowed(
    const Exit &exit, const IoAccess &access, SegmentFields segment, std::uint64_t offset) {
    CurrentVmcs &vmcs = exit.vmcs;
    if (exit.in_64_bit_code()) {
        const std::uint64_t linear = vmcs.read(FieldNatural::guest_linear_address);
        return is_canonical(linear) && is_canonical(linear + access.size - 1);
    }
    return segment_allows(
        AccessRights{vmcs.read(segment.rights)}, vmcs.read(segment.limit), offset, access.size,
        access.in);
}

// [string]
/// One element of INS or OUTS. The exit tells the linear address. With REP the guest executes the
/// instruction again until RCX is 0, so interrupts come in between, as on a real machine.
/// \sdm{table-exit-qualification-for-i-o-instructions}
inline Action handle_string_io(const Exit &exit, const IoAccess &access) {
    CurrentVmcs &vmcs = exit.vmcs;
    GuestRegisters &registers = exit.vcpu.registers;
    // Bits 9:7 of the instruction information: 16, 32 or 64 bits of address. Bits 17:15: the
    // segment, for OUTS. That of INS is always ES.
    const std::uint32_t information = vmcs.read(Field32::exit_instruction_information);
    const unsigned bits = 16u << (information >> 7 & 3);
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    if (access.rep && (registers.rcx & mask) == 0)
        return exit.skip_instruction();
    static constexpr unsigned es = 0, ss = 2;
    const unsigned segment = access.in ? es : (information >> 15 & 7) % 6; // 6, 7: not used
    const std::uint64_t offset = (access.in ? registers.rdi : registers.rsi) & mask;
    if (!operand_is_allowed(exit, access, segment_fields[segment], offset))
        return exit.raise(segment == ss ? Vector::stack_fault : Vector::general_protection);

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
    return (registers.rcx & mask) == 0 ? exit.skip_instruction() : exit.finish_step();
}
// [string]

/// What to do after an access. A new count of the timer may be over before the scope is, so it ends
/// here, and the next one ends in time. (The first byte of two ends one, too.)
inline Action after(const IoAccess &access) {
    return !access.in && access.port == Pit::tick_port ? Action::leave : Action::resume;
}

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
    exit.skip_instruction();
    return after(access);
}
// [io]

} // namespace vtx
