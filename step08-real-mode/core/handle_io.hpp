// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// IN and OUT. The guest's machine has one device: a port that prints.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "vmx/qualifications.hpp"

namespace vtx {

/// The port that prints a byte, as Bochs's and QEMU's debug port does.
inline constexpr std::uint16_t print_port = 0xe9;

// [io]
/// Exit reason 30. A port without a device reads as all ones, as on a real machine. For INS and
/// OUTS we would have to walk the guest's segments and page tables, so the guest ends instead, and
/// the log says why. \sdm{table-exit-qualification-for-i-o-instructions}
inline Action handle_io(const Exit &exit) {
    const IoAccess access = decode_io_access(exit.qualification());
    std::uint64_t &rax = exit.vcpu.registers.rax;

    if (access.string)
        return exit.end(Ending::string_io);
    if (access.in)
        // Writing EAX clears the upper half of RAX; writing AL or AX leaves the rest alone.
        rax = access.size == 4 ? 0xffffffff : rax | ((1u << (8 * access.size)) - 1);
    else if (access.port == print_port && access.size == 1)
        exit.vm.output.put(static_cast<std::byte>(rax));
    return exit.skip_instruction();
}
// [io]

} // namespace vtx
