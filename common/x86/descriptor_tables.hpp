// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The instructions that read and load segment and descriptor-table registers. Reading is allowed
/// in every ring unless CR4.UMIP is set; loading needs ring 0.
#pragma once

#include "x86/segments.hpp"

#include <cstdint>

namespace vtx {

/// What SGDT and SIDT store in 64-bit mode and LGDT and LIDT load.
/// \sdm{memory-management-registers}
struct [[gnu::packed]] DescriptorTableRegister {
    std::uint16_t limit; ///< Offset of the table's last byte. A VM exit sets it to 0xFFFF.
    std::uint64_t base;  ///< Linear address of the table.

    friend constexpr bool
    operator==(const DescriptorTableRegister &left, const DescriptorTableRegister &right) {
        return left.limit == right.limit && left.base == right.base;
    }
};

static_assert(sizeof(DescriptorTableRegister) == 10, "SGDT stores ten bytes in 64-bit mode");

/// GDTR as it is now.
[[gnu::always_inline]] inline DescriptorTableRegister sgdt() {
    DescriptorTableRegister value{};
    asm volatile("sgdt %0" : "=m"(value));
    return value;
}

/// IDTR as it is now.
[[gnu::always_inline]] inline DescriptorTableRegister sidt() {
    DescriptorTableRegister value{};
    asm volatile("sidt %0" : "=m"(value));
    return value;
}

/// Loads GDTR. Segment registers keep what they hold.
[[gnu::always_inline]] inline void lgdt(const DescriptorTableRegister &value) {
    asm volatile("lgdt %0" : : "m"(value) : "memory");
}

/// Loads IDTR.
[[gnu::always_inline]] inline void lidt(const DescriptorTableRegister &value) {
    asm volatile("lidt %0" : : "m"(value) : "memory");
}

/// The selector in TR.
[[gnu::always_inline]] inline Selector str() {
    Selector selector;
    asm volatile("str %0" : "=m"(selector.value));
    return selector;
}

/// Loads TR and marks the TSS busy. Precondition: the descriptor says available and its page may
/// be written, or \#GP or \#PF. \sdm{ltr-load-task-register}
[[gnu::always_inline]] inline void ltr(Selector selector) {
    asm volatile("ltr %0" : : "r"(selector.value) : "memory");
}

/// The selector in LDTR; null if there is no LDT.
[[gnu::always_inline]] inline Selector sldt() {
    Selector selector;
    asm volatile("sldt %0" : "=m"(selector.value));
    return selector;
}

/// Loads LDTR from the GDT; a null selector means no LDT.
[[gnu::always_inline]] inline void lldt(Selector selector) {
    asm volatile("lldt %0" : : "r"(selector.value) : "memory");
}

/// The selector in ES.
[[gnu::always_inline]] inline Selector read_es() {
    Selector selector;
    asm volatile("mov %%es, %0" : "=r"(selector.value));
    return selector;
}

/// The selector in CS.
[[gnu::always_inline]] inline Selector read_cs() {
    Selector selector;
    asm volatile("mov %%cs, %0" : "=r"(selector.value));
    return selector;
}

/// The selector in SS.
[[gnu::always_inline]] inline Selector read_ss() {
    Selector selector;
    asm volatile("mov %%ss, %0" : "=r"(selector.value));
    return selector;
}

/// The selector in DS.
[[gnu::always_inline]] inline Selector read_ds() {
    Selector selector;
    asm volatile("mov %%ds, %0" : "=r"(selector.value));
    return selector;
}

/// The selector in FS. Its base is in IA32_FS_BASE, not in a descriptor.
[[gnu::always_inline]] inline Selector read_fs() {
    Selector selector;
    asm volatile("mov %%fs, %0" : "=r"(selector.value));
    return selector;
}

/// The selector in GS. Its base is in IA32_GS_BASE, not in a descriptor.
[[gnu::always_inline]] inline Selector read_gs() {
    Selector selector;
    asm volatile("mov %%gs, %0" : "=r"(selector.value));
    return selector;
}

/// Loads ES. Precondition of the three loads: the selector is null or was in a data segment
/// register before and its descriptor is unchanged; anything else may fault.
[[gnu::always_inline]] inline void load_es(Selector selector) {
    asm volatile("mov %0, %%es" : : "r"(selector.value) : "memory");
}

/// Loads DS.
[[gnu::always_inline]] inline void load_ds(Selector selector) {
    asm volatile("mov %0, %%ds" : : "r"(selector.value) : "memory");
}

/// Loads FS, and with it the FS base from the descriptor (0 for a null selector on Intel CPUs):
/// write IA32_FS_BASE afterwards.
[[gnu::always_inline]] inline void load_fs(Selector selector) {
    asm volatile("mov %0, %%fs" : : "r"(selector.value) : "memory");
}

} // namespace vtx
