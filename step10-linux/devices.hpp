// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The ports of the guest's machine: which device answers where.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm.hpp"

namespace vtx {

/// The keyboard controller. It is not there, but for one thing: this byte resets the machine.
inline constexpr std::uint16_t keyboard_port = 0x64;
inline constexpr std::uint8_t reset_command = 0xfe; ///< See keyboard_port.

/// IN of `size` bytes, 1, 2 or 4. A port without a device reads as all ones, as on a real machine,
/// and so does a device that is read in pieces that it does not have. Linux concludes that there is
/// no PCI, no keyboard and no disk.
inline std::uint32_t read_port(Vm &vm, std::uint16_t port, unsigned size) {
    const std::uint64_t tsc = __builtin_ia32_rdtsc();

    if (size == 1 && Uart::has(port)) {
        vm.ports.uart++;
        const std::uint8_t value = vm.uart.read(port);
        vm.pic.set_line(Uart::irq, vm.uart.interrupts());
        return value;
    }
    if (size == 1 && PicPair::has(port)) {
        vm.ports.pic++;
        vm.update(tsc); // it shows how things are now
        return vm.pic.read(port);
    }
    if (size == 1 && Pit::has(port)) {
        vm.ports.pit++;
        vm.update(tsc);
        return vm.pit.read(port, vm.clock.ticks(tsc));
    }
    if (size == 1 && Cmos::has(port)) {
        vm.ports.cmos++;
        return vm.cmos.read(port, vm.wall_seconds());
    }
    vm.ports.others++;
    return 0xffffffff;
}

/// OUT of `size` bytes. Nobody hears what is written to a port without a device.
inline void write_port(Vm &vm, std::uint16_t port, unsigned size, std::uint32_t value) {
    const auto byte = static_cast<std::uint8_t>(value);
    const std::uint64_t tsc = __builtin_ia32_rdtsc();

    if (size == 1 && Uart::has(port)) {
        vm.ports.uart++;
        vm.uart.write(port, byte, [&](std::uint8_t sent) { vm.output.put(std::byte{sent}); });
        vm.pic.set_line(Uart::irq, vm.uart.interrupts());
    } else if (size == 1 && PicPair::has(port)) {
        vm.ports.pic++;
        vm.update(tsc); // a tick that is due comes before what is written
        vm.pic.write(port, byte);
    } else if (size == 1 && Pit::has(port)) {
        vm.ports.pit++;
        vm.update(tsc);
        vm.pit.write(port, byte, vm.clock.ticks(tsc));
    } else if (size == 1 && Cmos::has(port)) {
        vm.ports.cmos++;
        vm.cmos.write(port, byte);
    } else {
        vm.ports.others++;
        if (size == 1 && port == keyboard_port && byte == reset_command)
            vm.end.how = Ending::reset;
    }
}

} // namespace vtx
