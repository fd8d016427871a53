// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The ports of the guest's machine: which device answers where.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm.hpp"

namespace vtx {

/// Two ports that print a byte: Bochs's and QEMU's debug port, and where a PC has its first serial
/// line. (Step 10 puts a whole serial line there.)
inline constexpr std::uint16_t print_port = 0xe9, serial_port = 0x3f8;

/// IN of `size` bytes, 1, 2 or 4. A port without a device reads as all ones, as on a real machine,
/// and so does a device that is read in pieces that it does not have.
inline std::uint32_t read_port(Vm &vm, std::uint16_t port, unsigned size) {
    if (size != 1 || (!PicPair::has(port) && !Pit::has(port)))
        return 0xffffffff;
    const std::uint64_t tsc = __builtin_ia32_rdtsc();
    vm.update(tsc); // they show how things are now
    return PicPair::has(port) ? vm.pic.read(port) : vm.pit.read(port, vm.clock.ticks(tsc));
}

/// OUT of `size` bytes. Nobody hears what is written to a port without a device.
inline void write_port(Vm &vm, std::uint16_t port, unsigned size, std::uint32_t value) {
    const auto byte = static_cast<std::uint8_t>(value);
    if (size != 1)
        return;
    if (port == print_port || port == serial_port)
        vm.output.put(std::byte{byte});
    if (!PicPair::has(port) && !Pit::has(port))
        return;
    const std::uint64_t tsc = __builtin_ia32_rdtsc();
    vm.update(tsc); // a tick that is due comes before what is written
    if (PicPair::has(port))
        vm.pic.write(port, byte);
    else
        vm.pit.write(port, byte, vm.clock.ticks(tsc));
}

} // namespace vtx
