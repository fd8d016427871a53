// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The services of the BIOS: what a boot sector can ask for, and nothing more.
#pragma once

#include <cstdint>

#include "bios_call.hpp"
#include "text_screen.hpp"

namespace vtx {

/// The first hard disk, for the BIOS: the only drive here.
inline constexpr std::uint8_t boot_drive = 0x80;

// [video]
/// INT 10h. AH = 0Eh prints the character in AL, to the screen and to the log.
inline Action video_service(BiosCall &call) {
    if (call.ah() != 0x0e)
        return call.unknown();
    const std::byte character{call.al()};
    if (character != std::byte{'\r'}) // the log begins each line at its left
        call.vm.output.put(character);
    // Moving the whole screen up takes long, so Linux gets the processor then.
    const bool scrolled = TextScreen(call.vm.memory).put(character);
    return scrolled ? Action::leave : Action::resume;
}
// [video]

/// What INT 13h says in AH.
struct DiskStatus {
    static constexpr std::uint16_t ok = 0x00, bad_parameter = 0x01, not_found = 0x04;
};

// [disk]
/// Reads `count` sectors from number `first` on to guest-physical `address`, for both ways to ask.
inline Action
read_sectors(BiosCall &call, std::uint64_t first, std::uint8_t count, std::uint64_t address) {
    const Disk &disk = call.vm.disk;
    std::uint16_t status = DiskStatus::ok;
    if (!disk.contains(first, count))
        status = DiskStatus::not_found;
    else if (!disk.read(call.vm.memory, first, count, address))
        status = DiskStatus::bad_parameter;
    call.set_ax(static_cast<std::uint16_t>(status << 8 | (status == DiskStatus::ok ? count : 0)));
    // Copying takes long, so Linux gets the processor then.
    return status == DiskStatus::ok ? call.done(Action::leave) : call.failed();
}

/// INT 13h. AH = 02h reads AL sectors to ES:BX. They are named by cylinder, side and sector, as the
/// mechanics of a disk find them: bits 9:8 of the cylinder are the upper two of CL.
inline Action read_by_place(BiosCall &call) {
    // [exercise 08-2]
    const unsigned cylinder = (call.cl() & 0xc0u) << 2 | call.ch();
    const unsigned sector = call.cl() & 0x3fu; // counted from 1
    if (sector == 0 || sector > Disk::sectors_a_track || call.dh() >= Disk::sides) {
        call.set_ax(DiskStatus::bad_parameter << 8);
        return call.failed();
    }
    const unsigned track = cylinder * Disk::sides + call.dh();
    return read_sectors(
        call, track * Disk::sectors_a_track + sector - 1, call.al(),
        BiosCall::linear(call.es, call.bx()));
    // [exercise 08-2]
}

/// What DS:SI points to for AH = 42h.
struct DiskAddressPacket {
    std::uint8_t size, zero;
    std::uint16_t count, offset, segment;
    std::uint64_t first;
};
static_assert(sizeof(DiskAddressPacket) == 16);

/// INT 13h. AH = 42h reads sectors that are just numbered.
inline Action read_by_number(BiosCall &call) {
    static constexpr unsigned most = 127; // what a BIOS promises
    DiskAddressPacket packet{};
    if (!call.vm.memory.read(BiosCall::linear(call.ds, call.si()), &packet, sizeof packet) ||
        packet.size < sizeof packet || packet.count > most) {
        call.set_ax(DiskStatus::bad_parameter << 8);
        return call.failed();
    }
    return read_sectors(
        call, packet.first, static_cast<std::uint8_t>(packet.count),
        std::uint64_t{packet.segment} * 16 + packet.offset);
}

/// INT 13h: the disk.
inline Action disk_service(BiosCall &call) {
    const bool reads = call.ah() == 0x02 || call.ah() == 0x42;
    if (reads && call.dl() != boot_drive) {
        call.set_ax(DiskStatus::bad_parameter << 8);
        return call.failed();
    }
    switch (call.ah()) {
    case 0x02:
        return read_by_place(call);
    case 0x42:
        return read_by_number(call);
    default:
        return call.unknown();
    }
}
// [disk]

/// A piece of memory, as INT 15h tells it.
struct E820Entry {
    std::uint32_t base_low, base_high, size_low, size_high;
    std::uint32_t type;

    static constexpr std::uint32_t ram = 1, reserved = 2;

    /// From 64-bit numbers.
    static constexpr E820Entry make(std::uint64_t base, std::uint64_t end, std::uint32_t type) {
        return {
            static_cast<std::uint32_t>(base), static_cast<std::uint32_t>(base >> 32),
            static_cast<std::uint32_t>(end - base), static_cast<std::uint32_t>((end - base) >> 32),
            type};
    }
};
static_assert(sizeof(E820Entry) == 20);

// [e820]
/// INT 15h. EAX = E820h tells where memory is, one piece a call. EBX says which, 0 at first; it
/// comes back with the number for the next call, or 0 after the last piece.
inline Action memory_map_service(BiosCall &call) {
    static constexpr std::uint32_t smap = 0x534d4150; // "SMAP", wanted in EDX and given in EAX
    static constexpr std::uint64_t low_end = 0xa0000, high = 0x100000;
    const std::uint64_t size = call.vm.memory.size();
    const E820Entry map[] = {
        E820Entry::make(0, low_end, E820Entry::ram),
        E820Entry::make(low_end, high, E820Entry::reserved), // the screen and the BIOS
        E820Entry::make(high, size, E820Entry::ram)};
    const std::uint32_t pieces = size > high ? 3 : 2;
    GuestRegisters &registers = call.registers;
    const auto number = static_cast<std::uint32_t>(registers.rbx);

    if (call.ax() != 0xe820)
        return call.unknown();
    if (static_cast<std::uint32_t>(registers.rdx) != smap || number >= pieces ||
        static_cast<std::uint32_t>(registers.rcx) < sizeof(E820Entry) ||
        !call.vm.memory.write(
            BiosCall::linear(call.es, call.di()), &map[number], sizeof(E820Entry)))
        return call.failed();
    registers.rax = smap;
    registers.rbx = number + 1 < pieces ? number + 1 : 0;
    registers.rcx = sizeof(E820Entry);
    return call.done();
}
// [e820]

// [keyboard]
/// INT 16h. AH = 00h waits for a key and gives it in AX. Nobody will press another one here, so a
/// guest that waits for it ends. AH = 01h only looks: the zero flag is 1 if no key is there.
inline Action keyboard_service(BiosCall &call) {
    Keyboard &keyboard = call.vm.keyboard;
    static constexpr auto zf = static_cast<std::uint16_t>(Rflags::zf);

    switch (call.ah()) {
    case 0x00:
        if (keyboard.empty())
            return call.end(Ending::no_key);
        call.set_ax(keyboard.next());
        keyboard.take();
        return Action::resume;
    case 0x01:
        if (keyboard.empty()) {
            call.flags |= zf;
        } else {
            call.flags &= static_cast<std::uint16_t>(~zf);
            call.set_ax(keyboard.next());
        }
        return Action::resume;
    default:
        return call.unknown();
    }
}
// [keyboard]

/// INT 1Ah. AH = 00h gives the time in CX:DX, in ticks of which 1193182 / 65536 are a second. They
/// are counted from when the guest began.
inline Action time_service(BiosCall &call) {
    if (call.ah() != 0x00)
        return call.unknown();
    const std::uint64_t ticks = call.vm.clock.milliseconds() * 1193182 / 65536000;
    call.set_ax(call.ax() & 0xff00u); // AL: midnight did not pass
    call.set_cx(static_cast<std::uint16_t>(ticks >> 16));
    call.set_dx(static_cast<std::uint16_t>(ticks));
    return call.done();
}

/// INT 19h: boots again. The caller's address on the stack becomes that of the boot sector.
inline Action boot_service(BiosCall &call) {
    call.vm.load_boot_sector();
    call.cs = 0;
    call.ip = Vm::boot_sector;
    call.set_dx(boot_drive);
    return call.done();
}

} // namespace vtx
