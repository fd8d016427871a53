// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The BIOS: how a guest gets to it, and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bios_call.hpp"
#include "bios_services.hpp"
#include "exit.hpp"

/// In bios.S.
extern "C" const std::byte bios_entries[], bios_entries_end[];

namespace vtx {

/// Where the BIOS lies in the guest's memory.
struct BiosPlace {
    static constexpr std::uint16_t segment = 0xf000;       ///< For real mode,
    static constexpr std::uint64_t address = 0xf0000;      ///< and as guest-physical address.
    static constexpr std::uint64_t entry_size = 4;         ///< VMCALL and IRET.
    static constexpr std::uint64_t entries = 256;          ///< One a vector.
    static constexpr std::uint64_t reset_vector = 0xffff0; ///< FFFF:0000
};

/// Puts the BIOS into memory, lets each interrupt vector point to its entry, and clears the screen.
inline void load_bios(const GuestMemory &memory) {
    memory.write(
        BiosPlace::address, bios_entries,
        static_cast<std::size_t>(bios_entries_end - bios_entries));
    for (std::uint16_t n = 0; n < BiosPlace::entries; n++) {
        const std::uint16_t vector[] = {
            static_cast<std::uint16_t>(n * BiosPlace::entry_size), BiosPlace::segment};
        memory.write(n * sizeof vector, vector, sizeof vector);
    }
    // Where a processor begins after a reset, and where old programs jump to reboot.
    static constexpr std::uint8_t reboot[] = {0xcd, 0x19}; // INT 19h
    memory.write(BiosPlace::reset_vector, reboot, sizeof reboot);
    TextScreen(memory).clear();
}

/// True if the VMCALL that left the guest is one of the BIOS's.
inline bool is_bios_call(const Exit &exit) {
    const std::uint64_t ip = exit.vmcs.read(FieldNatural::guest_rip);
    return exit.in_real_mode() &&
           exit.vmcs.read(FieldNatural::guest_cs_base) == BiosPlace::address &&
           ip < BiosPlace::entries * BiosPlace::entry_size && ip % BiosPlace::entry_size == 0;
}

/// Does what the caller of INT n wants.
inline Action serve(BiosCall &call) {
    switch (call.vector) {
    case 0x10:
        return video_service(call);
    case 0x13:
        return disk_service(call);
    case 0x15:
        return memory_map_service(call);
    case 0x16:
        return keyboard_service(call);
    case 0x19:
        return boot_service(call);
    case 0x1a:
        return time_service(call);
    default:
        // The processor uses these for exceptions. To return would repeat the faulting
        // instruction for ever.
        if (call.vector < 0x10)
            return call.end(Ending::exception);
        return call.unknown();
    }
}

// [bios]
/// Handles INT n. Three words are on the stack: where the caller goes on, and its flags. IRET takes
/// them from there, so that is where a service changes them.
inline Action handle_bios_call(const Exit &exit) {
    CurrentVmcs &vmcs = exit.vmcs;
    const GuestMemory &memory = exit.vm.memory;
    const AccessRights stack{vmcs.read(Field32::guest_ss_access_rights)};
    const std::uint64_t rsp = vmcs.read(FieldNatural::guest_rsp);
    // A stack pointer has 16 bits in real mode, unless SS still has a descriptor that says 32.
    const std::uint64_t mask = stack.is_default_big() ? 0xffffffff : 0xffff;
    const std::uint64_t base = vmcs.read(FieldNatural::guest_ss_base);
    const auto word_at = [&](std::uint64_t i) {
        return BiosCall::linear(base, (rsp + 2 * i) & mask);
    };
    std::uint16_t words[3]{};
    for (unsigned i = 0; i < 3; i++)
        memory.read(word_at(i), &words[i], sizeof words[i]);

    const std::uint64_t vector = vmcs.read(FieldNatural::guest_rip) / BiosPlace::entry_size;
    BiosCall call{
        .vm = exit.vm,
        .registers = exit.vcpu.registers,
        .vector = static_cast<std::uint8_t>(vector),
        .ds = vmcs.read(FieldNatural::guest_ds_base),
        .es = vmcs.read(FieldNatural::guest_es_base),
        .ip = words[0],
        .cs = words[1],
        .flags = words[2]};
    const Action action = serve(call);
    if (action == Action::end) {
        exit.vm.end.vector = static_cast<Vector>(vector);
        exit.vm.end.cs = call.cs;
        exit.vm.end.ip = call.ip;
        return action;
    }
    const std::uint16_t changed[] = {call.ip, call.cs, call.flags};
    for (unsigned i = 0; i < 3; i++)
        memory.write(word_at(i), &changed[i], sizeof changed[i]);
    exit.skip_instruction(); // to IRET
    return action;
}
// [bios]

} // namespace vtx
