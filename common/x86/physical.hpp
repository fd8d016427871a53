// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Physical addresses as a type, so that a pointer or a linear address cannot be handed to the
/// processor where it wants a physical one.
#pragma once

#include <cstdint>

namespace vtx {

/// Bytes in a page of the smallest size: the size of every VMX region of this project.
inline constexpr std::uint64_t page_size = 4096;

/// log2 of page_size.
inline constexpr unsigned page_shift = 12;

/// A physical address. VMXON, VMCLEAR, VMPTRLD and the address fields of a VMCS take these.
/// \sdm{overview-in-vmcs}
struct PhysicalAddress {
    /// The address, in bytes.
    std::uint64_t value{};

    constexpr PhysicalAddress() = default;

    /// Explicit, so that no plain number becomes an address by accident.
    explicit constexpr PhysicalAddress(std::uint64_t address) : value{address} {}

    /// True if the address is the start of a page (bits 11:0 are 0).
    constexpr bool is_page_aligned() const { return (value & (page_size - 1)) == 0; }

    /// True if no bit at or above `width` is set.
    /// \param width number of physical-address bits, 1 to 64: CPUID.0x80000008:EAX[7:0], or 32
    ///              where bit 48 of IA32_VMX_BASIC is 1 \sdm{basic-vmx-information}.
    constexpr bool fits(unsigned width) const { return width >= 64 || (value >> width) == 0; }

    friend constexpr bool operator==(const PhysicalAddress &, const PhysicalAddress &) = default;

    /// Orders by address.
    friend constexpr bool operator<(PhysicalAddress left, PhysicalAddress right) {
        return left.value < right.value;
    }

    /// The address `bytes` further up.
    friend constexpr PhysicalAddress operator+(PhysicalAddress start, std::uint64_t bytes) {
        return PhysicalAddress{start.value + bytes};
    }
};

static_assert(sizeof(PhysicalAddress) == 8, "VMXON and VMPTRLD read eight bytes of memory");

} // namespace vtx
