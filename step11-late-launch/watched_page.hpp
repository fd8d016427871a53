// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A page of the module's own whose writes leave the guest.
#pragma once

#include <cstdint>
#include <optional>

#include "guest_registers.h"
#include "page.hpp"

/// In late_launch.S: stores a byte by the one MOV that may write to the watched page.
extern "C" void watched_store(void *page, std::uint8_t byte);
/// In late_launch.S: that MOV. Only its address is used.
extern "C" const char watched_store_mov[];

namespace vtx {

/// A MOV of a byte from a register to memory, as far as we must know it.
struct ByteStore {
    unsigned source; ///< The register's number.
    unsigned length; ///< Of the instruction, in bytes.
};

/// Decodes the instruction at `code`: `MOV [register], register` of one byte, with or without a REX
/// prefix. Anything else is not ours, and gives nothing.
inline std::optional<ByteStore> decode_byte_store(const std::uint8_t *code) {
    const bool has_rex = (code[0] & 0xf0) == 0x40;
    const unsigned rex = has_rex ? code[0] & 0xfu : 0;
    const std::uint8_t opcode = code[has_rex], modrm = code[has_rex + 1];
    const unsigned source = (modrm >> 3 & 7u) | (rex & 4) << 1; // REX.R is the fourth bit
    const bool plain_address = modrm >> 6 == 0 && (modrm & 7) != 4 && (modrm & 7) != 5;
    // Without REX, 4 to 7 mean AH to BH. Number 4 with it is RSP, which is not among the registers.
    if (opcode != 0x88 || !plain_address || source == 4 || (!has_rex && source > 3))
        return std::nullopt;
    return ByteStore{source, has_rex ? 3u : 2u};
}

/// The page. The guest may read it, and a write is an EPT violation: the exit handler does it in
/// the guest's place and counts. \sdm{ept-violations}
class WatchedPage {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate() { return page_.allocate(); }

    PhysicalAddress physical() const { return page_.physical(); }

    /// Writes to the page as any code of Linux would. Not in root operation.
    void store(std::uint8_t byte) const { watched_store(page_.bytes(), byte); }

    /// The byte that was stored last.
    std::uint8_t byte() const { return static_cast<std::uint8_t>(page_.bytes()[0]); }

    /// How many writes the exit handler has seen, on all processors.
    std::uint64_t seen() const { return __atomic_load_n(&seen_, __ATOMIC_RELAXED); }

    /// The exit handler: does a write that the guest was kept from.
    void store_for_guest(std::uint64_t offset, std::uint8_t byte) {
        page_.bytes()[offset] = static_cast<std::byte>(byte);
        __atomic_add_fetch(&seen_, 1, __ATOMIC_RELAXED);
    }

private:
    Page page_;
    std::uint64_t seen_ = 0;
};

} // namespace vtx
