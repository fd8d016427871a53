// SPDX-License-Identifier: GPL-2.0-only
// Physical addresses, paging, control-register bits, CPUID, MSR names, exceptions.
#include "x86/control_registers.hpp"
#include "x86/cpuid.hpp"
#include "x86/exceptions.hpp"
#include "x86/general_registers.hpp"
#include "x86/msr.hpp"
#include "x86/paging.hpp"
#include "x86/physical.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <type_traits>

using namespace vtx;

// A number, a pointer or a linear address is not a physical address.
static_assert(!std::convertible_to<std::uint64_t, PhysicalAddress>);
static_assert(!std::constructible_from<PhysicalAddress, void *>);
static_assert(std::is_trivially_copyable_v<PhysicalAddress>);

TEST(PhysicalAddress, AlignmentWidthAndOrder) {
    EXPECT_TRUE(PhysicalAddress{0}.is_page_aligned());
    EXPECT_TRUE(PhysicalAddress{0x7000}.is_page_aligned());
    EXPECT_FALSE(PhysicalAddress{0x7001}.is_page_aligned());
    EXPECT_FALSE(PhysicalAddress{0x7800}.is_page_aligned());

    EXPECT_TRUE(PhysicalAddress{0xffffffff}.fits(32));
    EXPECT_FALSE(PhysicalAddress{0x100000000}.fits(32));
    EXPECT_TRUE(PhysicalAddress{(1ull << 40) - 1}.fits(40));
    EXPECT_FALSE(PhysicalAddress{1ull << 40}.fits(40));
    EXPECT_TRUE(PhysicalAddress{~0ull}.fits(64));

    EXPECT_LT(PhysicalAddress{1}, PhysicalAddress{2});
    EXPECT_FALSE(PhysicalAddress{2} < PhysicalAddress{2});
    EXPECT_EQ(PhysicalAddress{0x1000} + page_size, PhysicalAddress{0x2000});
    EXPECT_EQ(page_size, 1u << page_shift);
}

TEST(Paging, EntryRoundTrip) {
    using E = PageTableEntry;
    const auto entry =
        E::make(PhysicalAddress{0x12345000}, E::present | E::writable | E::no_execute);
    EXPECT_EQ(entry.value, 0x8000000012345003u);
    EXPECT_EQ(entry.address(), PhysicalAddress{0x12345000});
    EXPECT_TRUE(entry.is_present());
    EXPECT_TRUE(entry.is_writable());
    EXPECT_TRUE(entry.is_no_execute());
    EXPECT_FALSE(entry.is_user());
    EXPECT_FALSE(entry.is_large());
    EXPECT_TRUE(entry.has(E::present | E::writable));
    EXPECT_FALSE(entry.has(E::present | E::user));
}

TEST(Paging, FlagsAndErrorCode) {
    using E = PageTableEntry;
    const std::uint64_t flags[] = {E::present,       E::writable,      E::user,
                                   E::write_through, E::cache_disable, E::accessed,
                                   E::dirty,         E::large,         E::global};
    for (unsigned bit = 0; bit < 9; ++bit) {
        EXPECT_EQ(flags[bit], 1u << bit);
    }
    EXPECT_EQ(E::no_execute, 0x8000000000000000u);
    EXPECT_TRUE(E{E::user}.is_user());
    EXPECT_TRUE(E{E::large}.is_large());
    EXPECT_EQ(E{}.value, 0u);

    using F = PageFaultError;
    const std::uint32_t errors[] = {F::present, F::write,          F::user,         F::reserved_bit,
                                    F::fetch,   F::protection_key, F::shadow_stack, F::hlat};
    for (unsigned bit = 0; bit < 8; ++bit) {
        EXPECT_EQ(errors[bit], 1u << bit);
    }
    EXPECT_EQ(F::sgx, 0x8000u);
}

TEST(Paging, AddressBitsAre51To12) {
    using E = PageTableEntry;
    EXPECT_EQ(E{~0ull}.address(), PhysicalAddress{0x000ffffffffff000});
    EXPECT_EQ(E::make(PhysicalAddress{~0ull}, 0).value, 0x000ffffffffff000u);
    EXPECT_EQ(cr3_table(0x8000000000001fff), PhysicalAddress{0x1000});
}

TEST(Paging, Indices) {
    // One address with another index at each level: 1, 2, 3, 4, and offset 5.
    const std::uint64_t linear = (1ull << 39) | (2ull << 30) | (3ull << 21) | (4ull << 12) | 5;
    EXPECT_EQ(pml4_index(linear), 1u);
    EXPECT_EQ(pdpt_index(linear), 2u);
    EXPECT_EQ(pd_index(linear), 3u);
    EXPECT_EQ(pt_index(linear), 4u);
    EXPECT_EQ(page_offset(linear), 5u);
    EXPECT_EQ(page_table_index(1ull << 48, 5), 1u);
    EXPECT_EQ(pml4_index(~0ull), 511u);
    EXPECT_EQ(pt_index(~0ull), page_table_entries - 1);
    EXPECT_EQ(page_offset(~0ull), 4095u);
}

TEST(Paging, Canonical) {
    EXPECT_TRUE(is_canonical(0));
    EXPECT_TRUE(is_canonical(0x00007fffffffffff));
    EXPECT_FALSE(is_canonical(0x0000800000000000));
    EXPECT_FALSE(is_canonical(0xffff7fffffffffff));
    EXPECT_TRUE(is_canonical(0xffff800000000000));
    EXPECT_TRUE(is_canonical(~0ull));
    EXPECT_FALSE(is_canonical(0x8000000000000000));

    EXPECT_TRUE(is_canonical(0x0000800000000000, 57));
    EXPECT_TRUE(is_canonical(0x00ffffffffffffff, 57));
    EXPECT_FALSE(is_canonical(0x0100000000000000, 57));
    EXPECT_TRUE(is_canonical(0xff00000000000000, 57));
}

TEST(ControlRegisters, Bits) {
    EXPECT_EQ(Cr0::pe, 1u);
    EXPECT_EQ(Cr0::pg, 0x80000000u);
    EXPECT_EQ(Cr4::vmxe, 0x2000u);
    EXPECT_EQ(Cr4::fred, 1ull << 32);
    EXPECT_EQ(Efer::lma, 0x400u);
    EXPECT_EQ(Rflags::always_1, 2u);
    EXPECT_EQ(Rflags::if_, 0x200u);
    EXPECT_EQ(Rflags::iopl, 0x3000u);
}

TEST(ControlRegisters, WhatRing3MayRead) {
    EXPECT_NE(read_rflags() & Rflags::always_1, 0u);
    EXPECT_NE(read_rflags() & Rflags::if_, 0u);
    if ((cpuid(1).ecx & Cpuid1Ecx::osxsave) != 0) {
        // Bit 0, x87, is always set; CPUID.0DH says which bits there can be.
        const CpuidResult supported = cpuid(0xd);
        const std::uint64_t mask = (std::uint64_t{supported.edx} << 32) | supported.eax;
        EXPECT_NE(read_xcr0() & 1, 0u);
        EXPECT_EQ(read_xcr0() & ~mask, 0u);
    }
}

template <std::size_t count> void expect_distinct_bits_in_order(const BitName (&table)[count]) {
    std::uint64_t last = 0;
    for (const BitName &row : table) {
        EXPECT_EQ(row.mask & (row.mask - 1), 0u) << row.name;
        EXPECT_GT(row.mask, last) << row.name;
        EXPECT_NE(std::string{row.text}, "") << row.name;
        last = row.mask;
    }
}

TEST(ControlRegisters, TablesAreInOrder) {
    expect_distinct_bits_in_order(cr0_bits);
    expect_distinct_bits_in_order(cr4_bits);
    expect_distinct_bits_in_order(efer_bits);
    expect_distinct_bits_in_order(rflags_bits);
}

TEST(ControlRegisters, FixedBits) {
    // What every CPU with VMX asks of CR0: PE, NE and PG.
    const std::uint64_t fixed0 = 0x80000021;
    const std::uint64_t fixed1 = 0xffffffff;
    EXPECT_EQ(violated_fixed_bits(0x80050033, fixed0, fixed1), 0u);
    EXPECT_EQ(violated_fixed_bits(0x80050033 & ~Cr0::ne, fixed0, fixed1), Cr0::ne);
    EXPECT_EQ(violated_fixed_bits(0, fixed0, fixed1), fixed0);
    EXPECT_EQ(violated_fixed_bits(0x180000021, fixed0, fixed1), 0x100000000u);
    // Both kinds at once.
    EXPECT_EQ(violated_fixed_bits(0x100000021, fixed0, fixed1), 0x180000000u);
    // CR4 of a CPU without SMEP and LA57.
    EXPECT_EQ(violated_fixed_bits(Cr4::vmxe | Cr4::smep, Cr4::vmxe, 0x000627ff), Cr4::smep);
    static_assert(violated_fixed_bits(1, 1, 1) == 0);
}

TEST(Cpuid, VendorNames) {
    // EBX, EDX, ECX is the order of the letters, not the order of the registers.
    const CpuidResult intel{0x16, 0x756e6547, 0x6c65746e, 0x49656e69};
    EXPECT_STREQ(cpuid_vendor(intel).text, "GenuineIntel");
    const CpuidResult amd{0x10, 0x68747541, 0x444d4163, 0x69746e65};
    EXPECT_STREQ(cpuid_vendor(amd).text, "AuthenticAMD");
    static_assert(sizeof(VendorName) == 13, "12 letters and the 0");
}

TEST(Cpuid, LeafZeroHasAVendor) { EXPECT_EQ(std::string{cpuid_vendor(cpuid(0)).text}.size(), 12u); }

TEST(Cpuid, TheWrongRegisterSeemsToWork) {
    // Step 01's point: bit 5 of EDX is "MSR", 1 on every CPU; bit 5 of EAX is part of the model.
    EXPECT_EQ(Cpuid1Ecx::vmx, 0x20u);
    EXPECT_NE(cpuid(1).edx & 0x20u, 0u);
}

TEST(Cpuid, BitsOfLeafOne) {
    EXPECT_EQ(Cpuid1Ecx::monitor, 0x00000008u);
    EXPECT_EQ(Cpuid1Ecx::smx, 0x00000040u);
    EXPECT_EQ(Cpuid1Ecx::pcid, 0x00020000u);
    EXPECT_EQ(Cpuid1Ecx::x2apic, 0x00200000u);
    EXPECT_EQ(Cpuid1Ecx::xsave, 0x04000000u);
    EXPECT_EQ(Cpuid1Ecx::osxsave, 0x08000000u);
    EXPECT_EQ(Cpuid1Ecx::hypervisor, 0x80000000u);
}

TEST(Msr, TableIsSortedAndNamed) {
    std::uint64_t last = 0;
    for (const MsrInfo &row : all_msrs) {
        const auto number = static_cast<std::uint32_t>(row.msr);
        EXPECT_GT(number, last) << row.name;
        EXPECT_EQ(std::string{row.name}.rfind("IA32_", 0), 0u) << row.name;
        EXPECT_STREQ(msr_name(row.msr), row.name);
        last = number;
    }
    EXPECT_STREQ(msr_name(Msr{0x480}), "IA32_VMX_BASIC");
    EXPECT_STREQ(msr_name(Msr{0xc0000080}), "IA32_EFER");
    EXPECT_STREQ(msr_name(Msr{0x481234}), "(unnamed MSR)");
}

// What kernel.h's function would be in a kernel: it knows one MSR.
int vtx_read_msr_safe(std::uint32_t msr, std::uint64_t *value) {
    if (msr != 0x480) {
        return -5;
    }
    *value = 0x00d810000000002b;
    return 0;
}

TEST(Msr, ReadSafely) {
    EXPECT_EQ(read_msr_safe(Msr::vmx_basic), 0x00d810000000002bu);
    EXPECT_EQ(read_msr_safe(Msr::vmx_vmfunc), std::nullopt);
}

TEST(Msr, Bits) {
    EXPECT_EQ(FeatureControl::lock, 1u);
    EXPECT_EQ(FeatureControl::vmx_inside_smx, 2u);
    EXPECT_EQ(FeatureControl::vmx_outside_smx, 4u);
    EXPECT_EQ(DebugCtl::lbr, 1u);
    EXPECT_EQ(DebugCtl::btf, 2u);
}

TEST(Msr, EveryVmxCapabilityRegisterIsThere) {
    for (std::uint32_t number = 0x480; number <= 0x493; ++number) {
        EXPECT_EQ(std::string{msr_name(Msr{number})}.rfind("IA32_VMX_", 0), 0u) << number;
    }
}

TEST(Exceptions, ErrorCodes) {
    const std::set<unsigned> with_error_code{8, 10, 11, 12, 13, 14, 17, 21};
    for (unsigned vector = 0; vector < 32; ++vector) {
        EXPECT_EQ(has_error_code(static_cast<Vector>(vector)), with_error_code.contains(vector))
            << vector;
    }
}

TEST(Exceptions, Classes) {
    const std::set<unsigned> contributory{0, 10, 11, 12, 13, 21};
    const std::set<unsigned> page_faults{14, 20};
    for (unsigned number = 0; number < 32; ++number) {
        const auto vector = static_cast<Vector>(number);
        EXPECT_EQ(is_contributory(vector), contributory.contains(number)) << number;
        EXPECT_EQ(
            exception_class(vector) == ExceptionClass::page_fault, page_faults.contains(number))
            << number;
        EXPECT_EQ(exception_class(vector) == ExceptionClass::double_fault, number == 8) << number;
    }
}

TEST(Exceptions, Mnemonics) {
    EXPECT_STREQ(mnemonic(Vector::general_protection), "#GP");
    EXPECT_STREQ(mnemonic(Vector::nmi), "NMI");
    EXPECT_STREQ(mnemonic(Vector::x87_floating_point), "#MF");
    EXPECT_STREQ(mnemonic(Vector{15}), "(no exception)");
    EXPECT_STREQ(mnemonic(Vector{255}), "(no exception)");
    std::set<std::string> seen;
    for (unsigned number = 0; number <= 21; ++number) {
        if (number != 15) {
            EXPECT_TRUE(seen.insert(mnemonic(static_cast<Vector>(number))).second) << number;
        }
    }
}

TEST(GeneralRegisters, NumbersAndNames) {
    using R = GeneralRegister;
    const struct {
        R number;
        const char *name;
    } rows[] = {{R::rax, "RAX"}, {R::rcx, "RCX"}, {R::rdx, "RDX"}, {R::rbx, "RBX"},
                {R::rsp, "RSP"}, {R::rbp, "RBP"}, {R::rsi, "RSI"}, {R::rdi, "RDI"},
                {R::r8, "R8"},   {R::r9, "R9"},   {R::r10, "R10"}, {R::r11, "R11"},
                {R::r12, "R12"}, {R::r13, "R13"}, {R::r14, "R14"}, {R::r15, "R15"}};
    unsigned number = 0;
    for (const auto &row : rows) {
        EXPECT_EQ(static_cast<unsigned>(row.number), number++);
        EXPECT_STREQ(register_name(row.number), row.name);
    }
    EXPECT_STREQ(register_name(R{16}), "(no register)");
}
