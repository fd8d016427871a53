// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMCS fields as enumerations, one per width, so that a value that does not fit a field does not
/// compile; and the table of all fields, to walk them and to name them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace vtx {

/// 16-bit fields. The value of an enumerator is its encoding, what VMREAD and VMWRITE take.
/// \sdm{16-bit-fields}
enum class Field16 : std::uint32_t {
#define VTX_FIELD16(name, linux_name, encoding, sdm_name) name = encoding,
#include "vmx/fields.def"
};

/// 32-bit fields. \sdm{32-bit-fields}
enum class Field32 : std::uint32_t {
#define VTX_FIELD32(name, linux_name, encoding, sdm_name) name = encoding,
#include "vmx/fields.def"
};

/// 64-bit fields. \sdm{64-bit-fields}
enum class Field64 : std::uint32_t {
#define VTX_FIELD64(name, linux_name, encoding, sdm_name) name = encoding,
#include "vmx/fields.def"
};

/// Natural-width fields: 64 bits on every CPU that has 64-bit mode. \sdm{natural-width-fields}
enum class FieldNatural : std::uint32_t {
#define VTX_FIELD_NATURAL(name, linux_name, encoding, sdm_name) name = encoding,
#include "vmx/fields.def"
};

/// The four field enumerations.
template <class F>
concept VmcsField = std::same_as<F, Field16> || std::same_as<F, Field32> ||
    std::same_as<F, Field64> || std::same_as<F, FieldNatural>;

/// The unsigned type that is as wide as the fields of an enumeration.
template <VmcsField F>
using field_value_t = std::conditional_t<
    std::same_as<F, Field16>, std::uint16_t,
    std::conditional_t<std::same_as<F, Field32>, std::uint32_t, std::uint64_t>>;

/// True if every value of type `V` fits a field of type `F`: an unsigned number (not bool, not
/// signed, because a sign would be lost or stretched) that is not wider than the field.
template <class V, class F>
concept FitsField = VmcsField<F> && std::unsigned_integral<V> && !std::same_as<V, bool> &&
                    sizeof(V) <= sizeof(field_value_t<F>);

/// The encoding of a field as a number.
template <VmcsField F> constexpr std::uint32_t field_encoding(F field) {
    return static_cast<std::uint32_t>(field);
}

/// Widths of fields, by the two bits 14:13 of an encoding.
/// \sdm{table-structure-of-vmcs-component-encoding}
enum class FieldWidth : std::uint8_t {
    bits16 = 0,
    bits64 = 1,
    bits32 = 2,
    natural = 3,
};

/// Kinds of fields, by the two bits 11:10 of an encoding.
/// \sdm{table-structure-of-vmcs-component-encoding}
enum class FieldKind : std::uint8_t {
    control = 0,
    read_only = 1, ///< VM-exit information; VMWRITE needs bit 29 of IA32_VMX_MISC
    guest_state = 2,
    host_state = 3,
};

/// What an encoding says of the width of its field.
constexpr FieldWidth field_width(std::uint32_t encoding) {
    return static_cast<FieldWidth>((encoding >> 13) & 3u);
}

/// What an encoding says of the kind of its field.
constexpr FieldKind field_kind(std::uint32_t encoding) {
    return static_cast<FieldKind>((encoding >> 10) & 3u);
}

/// The index of a field among those of its width and kind, bits 9:1 of an encoding. The highest
/// one that a processor has is in IA32_VMX_VMCS_ENUM. \sdm{vmcs-enumeration}
constexpr unsigned field_index(std::uint32_t encoding) { return (encoding >> 1) & 0x1ffu; }

/// True if the encoding means the high 32 bits of a 64-bit field, bit 0.
constexpr bool is_high_access(std::uint32_t encoding) { return (encoding & 1u) != 0; }

/// Bits in a field of a width: 16, 32 or 64.
constexpr unsigned field_bits(FieldWidth width) {
    return width == FieldWidth::bits16 ? 16u : width == FieldWidth::bits32 ? 32u : 64u;
}

/// A row of the table of fields.
struct FieldInfo {
    std::uint32_t encoding; ///< What VMREAD takes.
    const char *name;       ///< The SDM's name, "Guest CR3".
    const char *identifier; ///< The enumerator here, "guest_cr3".
    FieldWidth width;       ///< From the encoding.
    FieldKind kind;         ///< From the encoding.
};

#define VTX_FIELD_ROW(name, linux_name, encoding, sdm_name)                                        \
    {encoding, sdm_name, #name, field_width(encoding), field_kind(encoding)},

/// Every field, in the order of the SDM's appendix B: by encoding.
inline constexpr FieldInfo all_fields[] = {
#define VTX_FIELD16 VTX_FIELD_ROW
#define VTX_FIELD32 VTX_FIELD_ROW
#define VTX_FIELD64 VTX_FIELD_ROW
#define VTX_FIELD_NATURAL VTX_FIELD_ROW
#include "vmx/fields.def"
};

#undef VTX_FIELD_ROW

/// The number of rows of all_fields.
inline constexpr std::size_t field_count = sizeof(all_fields) / sizeof(all_fields[0]);

/// The row of a field; null if no field has this encoding.
constexpr const FieldInfo *find_field(std::uint32_t encoding) {
    for (const FieldInfo &row : all_fields) {
        if (row.encoding == encoding) {
            return &row;
        }
    }
    return nullptr;
}

/// The SDM's name of a field, or "(unknown field)". Never null.
constexpr const char *field_name(std::uint32_t encoding) {
    const FieldInfo *row = find_field(encoding);
    return row != nullptr ? row->name : "(unknown field)";
}

/// The same by enumerator.
template <VmcsField F> constexpr const char *field_name(F field) {
    return field_name(field_encoding(field));
}

/// The value of the VMCS link pointer that means "no other VMCS".
/// \sdm{guest-non-register-state}
inline constexpr std::uint64_t no_vmcs_link = ~std::uint64_t{0};

// A field in the wrong enumeration would be written with the wrong width.
#define VTX_FIELD16(name, linux_name, encoding, sdm_name)                                          \
    static_assert(field_width(encoding) == FieldWidth::bits16, #name);
#define VTX_FIELD32(name, linux_name, encoding, sdm_name)                                          \
    static_assert(field_width(encoding) == FieldWidth::bits32, #name);
#define VTX_FIELD64(name, linux_name, encoding, sdm_name)                                          \
    static_assert(field_width(encoding) == FieldWidth::bits64, #name);
#define VTX_FIELD_NATURAL(name, linux_name, encoding, sdm_name)                                    \
    static_assert(field_width(encoding) == FieldWidth::natural, #name);
#include "vmx/fields.def"

} // namespace vtx
