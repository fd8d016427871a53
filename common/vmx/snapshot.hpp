// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The fields of one VMCS as a plain value: what VMREAD gave for each of them, and whether it gave
/// anything. A step fills one in VMX operation and looks at it afterwards; the entry checks
/// (doctor/rules) read it; so do the tools that know a VMCS only from a log.
#pragma once

#include "vmx/fields.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace vtx {

namespace detail {

/// Numbers of fields of one width and kind that field_slots has room for.
inline constexpr unsigned slot_indices = 64;

/// For each width, kind and index the position in all_fields; 0xff where there is no field.
struct FieldSlots {
    std::uint8_t slot[4][4][slot_indices]{};

    constexpr FieldSlots() {
        for (auto &width : slot) {
            for (auto &kind : width) {
                for (std::uint8_t &entry : kind) {
                    entry = 0xff;
                }
            }
        }
        for (std::size_t i = 0; i < field_count; ++i) {
            const FieldInfo &row = all_fields[i];
            slot[static_cast<unsigned>(row.width)][static_cast<unsigned>(row.kind)]
                [field_index(row.encoding)] = static_cast<std::uint8_t>(i);
        }
    }
};

static_assert(field_count < 0xff, "a slot is one byte, and 0xff means none");

inline constexpr FieldSlots field_slots{};

} // namespace detail

/// What field_slot() returns if no field has the encoding.
inline constexpr std::size_t no_slot = 0xff;

/// The position of a field in all_fields, found without a search; no_slot if there is none. An
/// encoding that means the high half of a field, or that has reserved bits set, has none.
constexpr std::size_t field_slot(std::uint32_t encoding) {
    const unsigned index = field_index(encoding);
    if (is_high_access(encoding) || index >= detail::slot_indices || (encoding & ~0x6ffeu) != 0) {
        return no_slot;
    }
    return detail::field_slots.slot[static_cast<unsigned>(field_width(encoding))]
                                   [static_cast<unsigned>(field_kind(encoding))][index];
}

/// All fields of a VMCS. A field is unknown until it is set; the processor may not have it, or the
/// source may not have told it.
///
/// It takes about one and a half kilobytes: too much for a kernel stack, so a step keeps it in
/// memory that it allocated. There is no constructor that runs: all zeroes is "nothing known".
struct VmcsSnapshot {
    /// Values in the order of all_fields, 0 where unknown.
    std::uint64_t values[field_count]{};
    /// One bit for each field: bit `slot % 64` of word `slot / 64`.
    std::uint64_t known_bits[(field_count + 63) / 64]{};

    /// True if the field was set.
    template <VmcsField F> constexpr bool known(F field) const {
        return known_at(field_slot(field_encoding(field)));
    }

    /// The value of a field; 0 if it is unknown, which known() tells apart.
    template <VmcsField F> constexpr field_value_t<F> get(F field) const {
        return static_cast<field_value_t<F>>(values[field_slot(field_encoding(field))]);
    }

    /// Sets a field. As with VMWRITE by name, a value of the wrong width does not compile.
    template <VmcsField F, class V>
    requires FitsField<V, F>
    constexpr void set(F field, V value) { set_at(field_slot(field_encoding(field)), value); }

    /// Sets a field by its encoding; bits that its width does not hold are dropped, as VMREAD would
    /// give zeroes for them. False if no field has this encoding.
    constexpr bool set(std::uint32_t encoding, std::uint64_t value) {
        const std::size_t slot = field_slot(encoding);
        if (slot == no_slot) {
            return false;
        }
        const unsigned bits = field_bits(field_width(encoding));
        set_at(slot, bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1));
        return true;
    }

    /// The value by encoding; nothing if it is unknown or if there is no such field.
    constexpr std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        const std::size_t slot = field_slot(encoding);
        if (slot == no_slot || !known_at(slot)) {
            return std::nullopt;
        }
        return values[slot];
    }

    /// Makes a field unknown again.
    template <VmcsField F> constexpr void forget(F field) {
        const std::size_t slot = field_slot(field_encoding(field));
        values[slot] = 0;
        known_bits[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    }

    /// Makes every field unknown.
    constexpr void clear() {
        for (std::uint64_t &value : values) {
            value = 0;
        }
        for (std::uint64_t &word : known_bits) {
            word = 0;
        }
    }

    /// How many fields are known.
    constexpr std::size_t known_count() const {
        std::size_t count = 0;
        for (std::size_t slot = 0; slot < field_count; ++slot) {
            count += known_at(slot) ? 1 : 0;
        }
        return count;
    }

    /// Asks `read` for every field, in the order of the SDM's appendix B, and keeps what it gives.
    /// A field for which it gives nothing becomes unknown: the processor does not have it.
    /// \param read called as read(encoding), gives std::optional<std::uint64_t>: VMREAD, usually
    template <class Read>
    requires std::invocable<Read &, std::uint32_t> && std::convertible_to<
        std::invoke_result_t<Read &, std::uint32_t>, std::optional<std::uint64_t>>
    constexpr void fill(Read &&read) {
        clear();
        for (const FieldInfo &field : all_fields) {
            const std::optional<std::uint64_t> value = read(field.encoding);
            if (value.has_value()) {
                set(field.encoding, *value);
            }
        }
    }

    /// Calls visit(const FieldInfo &, std::uint64_t value) for every known field, in the order of
    /// the SDM's appendix B.
    template <class Visit>
    requires std::invocable<Visit &, const FieldInfo &, std::uint64_t>
    constexpr void for_each(Visit &&visit) const {
        for (std::size_t slot = 0; slot < field_count; ++slot) {
            if (known_at(slot)) {
                visit(all_fields[slot], values[slot]);
            }
        }
    }

    friend constexpr bool operator==(const VmcsSnapshot &, const VmcsSnapshot &) = default;

private:
    constexpr bool known_at(std::size_t slot) const {
        return ((known_bits[slot / 64] >> (slot % 64)) & 1u) != 0;
    }

    constexpr void set_at(std::size_t slot, std::uint64_t value) {
        values[slot] = value;
        known_bits[slot / 64] |= std::uint64_t{1} << (slot % 64);
    }
};

static_assert(std::is_trivially_copyable_v<VmcsSnapshot>);

} // namespace vtx
