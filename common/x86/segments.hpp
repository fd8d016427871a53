// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Segmentation as a VMCS sees it: selectors, access rights, and what a descriptor in a GDT, LDT
/// or IDT says. Arithmetic only; descriptor_tables.hpp has the instructions.
#pragma once

#include <cstdint>

namespace vtx {

/// A segment selector. \sdm{segment-selectors}
struct Selector {
    std::uint16_t value{}; ///< The 16 bits in a segment register.

    constexpr Selector() = default;

    /// Explicit: a selector is not a number.
    explicit constexpr Selector(std::uint16_t bits) : value{bits} {}

    /// Entry of the descriptor table, 0 to 8191; its byte offset is `value & 0xfff8`.
    constexpr unsigned index() const { return value >> 3; }

    /// Requested privilege level, bits 1:0.
    constexpr unsigned rpl() const { return value & 3u; }

    /// TI, bit 2: true for the LDT, false for the GDT.
    constexpr bool in_ldt() const { return (value & 4u) != 0; }

    /// True for selectors 0 to 3, which refer to no segment.
    constexpr bool is_null() const { return (value & 0xfffcu) == 0; }

    /// The same selector with RPL and TI cleared, as the host-state area wants it.
    /// \sdm{checks-on-host-segment-and-descriptor-table-registers}
    constexpr Selector without_rpl() const {
        return Selector{static_cast<std::uint16_t>(value & 0xfff8u)};
    }

    friend constexpr bool operator==(const Selector &, const Selector &) = default;
};

/// Types of code and data segments (S = 1), the low four bits of the access rights.
/// \sdm{table-code-and-data-segment-types}
struct SegmentType {
    static constexpr unsigned accessed = 1;       ///< bit 0: the segment was loaded once
    static constexpr unsigned writable = 2;       ///< bit 1 of data: may be written
    static constexpr unsigned readable = 2;       ///< bit 1 of code: may be read
    static constexpr unsigned expand_down = 4;    ///< bit 2 of data
    static constexpr unsigned conforming = 4;     ///< bit 2 of code
    static constexpr unsigned code = 8;           ///< bit 3: code, not data
    static constexpr unsigned data_accessed = 3;  ///< read/write, accessed
    static constexpr unsigned code_accessed = 11; ///< execute/read, accessed
};

/// Types of system segments and gates (S = 0) in IA-32e mode.
/// \sdm{table-system-segment-and-gate-descriptor-types}
struct SystemType {
    static constexpr unsigned ldt = 2;             ///< LDT
    static constexpr unsigned tss_available = 9;   ///< 64-bit TSS, available
    static constexpr unsigned tss_busy = 11;       ///< 64-bit TSS, busy: what VM entry wants of TR
    static constexpr unsigned call_gate = 12;      ///< 64-bit call gate
    static constexpr unsigned interrupt_gate = 14; ///< 64-bit interrupt gate: clears IF
    static constexpr unsigned trap_gate = 15;      ///< 64-bit trap gate: leaves IF alone
};

/// Access rights of a segment register in the format of the VMCS: bytes 5 and 6 of the descriptor
/// without the limit's bits, and bit 16, "unusable". \sdm{table-format-of-access-rights}
struct AccessRights {
    std::uint32_t value{}; ///< The 32 bits of a guest access-rights field.

    static constexpr std::uint32_t type_mask = 0xf;            ///< bits 3:0
    static constexpr std::uint32_t code_or_data = 1u << 4;     ///< S: 0 means system segment
    static constexpr unsigned dpl_shift = 5;                   ///< bits 6:5
    static constexpr std::uint32_t present_bit = 1u << 7;      ///< P
    static constexpr std::uint32_t available_bit = 1u << 12;   ///< AVL, for software
    static constexpr std::uint32_t long_mode_bit = 1u << 13;   ///< L: 64-bit code (CS only)
    static constexpr std::uint32_t default_big_bit = 1u << 14; ///< D/B: 32-bit operands, stack
    static constexpr std::uint32_t granularity_bit = 1u << 15; ///< G: limit counts 4-KByte units
    static constexpr std::uint32_t unusable_bit = 1u << 16;    ///< no segment is loaded
    static constexpr std::uint32_t reserved_bits = 0xfffe0f00; ///< must be 0 at VM entry

    constexpr AccessRights() = default;

    /// From the 32 bits of the VMCS field.
    explicit constexpr AccessRights(std::uint32_t bits) : value{bits} {}

    /// From bits 63:32 of a descriptor: bits 23:8 of that word without the limit, never unusable.
    static constexpr AccessRights from_descriptor(std::uint64_t descriptor) {
        return AccessRights{static_cast<std::uint32_t>(descriptor >> 40) & 0xf0ffu};
    }

    /// 64-bit code: execute/read, accessed, present, L = 1, G = 1.
    static constexpr AccessRights code64(unsigned dpl = 0) {
        return AccessRights{
            SegmentType::code_accessed | code_or_data | (dpl << dpl_shift) | present_bit |
            long_mode_bit | granularity_bit};
    }

    /// Flat data: read/write, accessed, present, B = 1, G = 1.
    static constexpr AccessRights data(unsigned dpl = 0) {
        return AccessRights{
            SegmentType::data_accessed | code_or_data | (dpl << dpl_shift) | present_bit |
            default_big_bit | granularity_bit};
    }

    /// A busy 64-bit TSS with G = 0: the only thing that TR may hold in a 64-bit guest.
    static constexpr AccessRights tss64_busy() {
        return AccessRights{SystemType::tss_busy | present_bit};
    }

    /// An LDT with G = 0.
    static constexpr AccessRights ldt() { return AccessRights{SystemType::ldt | present_bit}; }

    /// No segment is loaded: after a null selector, or an LDTR without an LDT.
    static constexpr AccessRights unusable() { return AccessRights{unusable_bit}; }

    /// Bits 3:0: a SegmentType or a SystemType, by is_code_or_data().
    constexpr unsigned type() const { return value & type_mask; }

    /// S, bit 4: true for code and data, false for TSS and LDT.
    constexpr bool is_code_or_data() const { return (value & code_or_data) != 0; }

    /// True for a code segment.
    constexpr bool is_code() const {
        return is_code_or_data() && (type() & SegmentType::code) != 0;
    }

    /// Descriptor privilege level, 0 to 3.
    constexpr unsigned dpl() const { return (value >> dpl_shift) & 3u; }

    /// P, bit 7.
    constexpr bool is_present() const { return (value & present_bit) != 0; }

    /// AVL, bit 12.
    constexpr bool is_available() const { return (value & available_bit) != 0; }

    /// L, bit 13: 64-bit code.
    constexpr bool is_long_mode() const { return (value & long_mode_bit) != 0; }

    /// D/B, bit 14.
    constexpr bool is_default_big() const { return (value & default_big_bit) != 0; }

    /// G, bit 15.
    constexpr bool is_granular() const { return (value & granularity_bit) != 0; }

    /// Bit 16.
    constexpr bool is_unusable() const { return (value & unusable_bit) != 0; }

    /// True if G agrees with the limit, as VM entry demands: with G = 0 bits 31:20 of the limit
    /// are 0, with G = 1 bits 11:0 are 1. \sdm{checks-on-guest-segment-registers}
    constexpr bool granularity_fits(std::uint32_t limit) const {
        return is_granular() ? (limit & 0xfffu) == 0xfffu : (limit >> 20) == 0;
    }

    friend constexpr bool operator==(const AccessRights &, const AccessRights &) = default;
};

/// A segment register with its hidden part, as the guest-state area has it.
/// \sdm{guest-register-state}
struct Segment {
    Selector selector{};          ///< The visible part.
    std::uint64_t base{};         ///< Linear address of the first byte.
    std::uint32_t limit{};        ///< Offset of the last byte, in bytes whatever G says.
    AccessRights access_rights{}; ///< Type, privilege, flags.

    friend constexpr bool operator==(const Segment &, const Segment &) = default;
};

/// The limit of an 8-byte descriptor in bytes: the 20 bits it holds, stretched if G is 1.
constexpr std::uint32_t descriptor_limit(std::uint64_t descriptor) {
    const auto raw =
        static_cast<std::uint32_t>((descriptor & 0xffffu) | ((descriptor >> 32) & 0xf0000u));
    const bool granular = ((descriptor >> 55) & 1u) != 0;
    return granular ? (raw << 12) | 0xfffu : raw;
}

/// The 32-bit base of an 8-byte descriptor, or the low half of a 16-byte one's.
constexpr std::uint32_t descriptor_base(std::uint64_t descriptor) {
    return static_cast<std::uint32_t>(
        ((descriptor >> 16) & 0xffffffu) | ((descriptor >> 32) & 0xff000000u));
}

/// What a segment register holds after loading `selector`, which refers to this 8-byte descriptor
/// of code or data. A null selector gives an unusable segment, whatever the descriptor.
/// \sdm{segment-descriptors}
constexpr Segment decode_descriptor(Selector selector, std::uint64_t descriptor) {
    if (selector.is_null()) {
        return Segment{selector, 0, 0, AccessRights::unusable()};
    }
    return Segment{
        selector, descriptor_base(descriptor), descriptor_limit(descriptor),
        AccessRights::from_descriptor(descriptor)};
}

/// The same for a 16-byte descriptor of a TSS or an LDT in IA-32e mode.
/// \param low  bytes 0 to 7
/// \param high bytes 8 to 15, whose low half is bits 63:32 of the base
/// \sdm{segment-descriptor-tables-in-ia-32e-mode}
constexpr Segment
decode_system_descriptor(Selector selector, std::uint64_t low, std::uint64_t high) {
    Segment segment = decode_descriptor(selector, low);
    if (!segment.access_rights.is_unusable()) {
        segment.base |= high << 32;
    }
    return segment;
}

/// The 8-byte descriptor of a code or data segment: the inverse of decode_descriptor().
/// \param segment its base fits in 32 bits, and access_rights.granularity_fits(limit) holds
constexpr std::uint64_t encode_descriptor(const Segment &segment) {
    const std::uint32_t raw =
        segment.access_rights.is_granular() ? segment.limit >> 12 : segment.limit;
    return (raw & 0xffffu) | ((segment.base & 0xffffffu) << 16) |
           (std::uint64_t{segment.access_rights.value & 0xf0ffu} << 40) |
           (std::uint64_t{raw & 0xf0000u} << 32) | ((segment.base & 0xff000000u) << 32);
}

/// A gate of a 64-bit IDT: 16 bytes at IDTR.base + 16 * vector. \sdm{64-bit-mode-idt}
struct Gate {
    std::uint64_t offset; ///< RIP of the handler.
    Selector selector;    ///< CS of the handler.
    unsigned ist;         ///< Entry of the interrupt stack table, 0 for none.
    unsigned type;        ///< SystemType::interrupt_gate or trap_gate; anything else gives \#GP.
    unsigned dpl;         ///< Lowest privilege that may come here by INT n.
    bool present;         ///< P; 0 gives \#NP.

    friend constexpr bool operator==(const Gate &, const Gate &) = default;
};

/// Reads a gate out of its two eight-byte words.
constexpr Gate decode_gate(std::uint64_t low, std::uint64_t high) {
    return Gate{
        (low & 0xffffu) | ((low >> 32) & 0xffff0000u) | (high << 32),
        Selector{static_cast<std::uint16_t>(low >> 16)},
        static_cast<unsigned>(low >> 32) & 7u,
        static_cast<unsigned>(low >> 40) & 0xfu,
        static_cast<unsigned>(low >> 45) & 3u,
        ((low >> 47) & 1u) != 0};
}

} // namespace vtx
