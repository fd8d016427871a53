// SPDX-License-Identifier: GPL-2.0-only
// The walk of the guest's page tables: all four ways in which a processor translates.
#include "guest_paging.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

namespace {

constexpr std::uint64_t present = 1, writable = 2, user = 4, large = 0x80, all = 7;
constexpr std::uint64_t cr0_paging = 0x80000001, wp = 0x10000;
constexpr std::uint64_t cr4_pse = 0x10, cr4_pae = 0x20, efer_lma = 0x400;

/// Page tables of the guest at 4000h, 5000h, 6000h and 7000h, empty at first.
struct Paging : Machine {
    static constexpr std::uint64_t top = 0x4000, second = 0x5000, third = 0x6000, fourth = 0x7000;

    template <typename T> void put(std::uint64_t table, unsigned index, T entry) const {
        EXPECT_TRUE(vm->memory.write(table + index * sizeof entry, &entry, sizeof entry));
    }
    void put64(std::uint64_t table, unsigned index, std::uint64_t entry) const {
        put(table, index, entry);
    }
    void put32(std::uint64_t table, unsigned index, std::uint64_t entry) const {
        put(table, index, static_cast<std::uint32_t>(entry));
    }

    Translation read(std::uint64_t linear) const {
        return translate(vm->memory, state, linear, false);
    }
    Translation write(std::uint64_t linear) const {
        return translate(vm->memory, state, linear, true);
    }
    void leads(std::uint64_t linear, std::uint64_t physical) const {
        const Translation to = read(linear);
        EXPECT_TRUE(to.ok) << std::hex << linear;
        EXPECT_EQ(to.physical, physical) << std::hex << linear;
    }
    static void faults(const Translation &to, std::uint32_t error_code) {
        EXPECT_FALSE(to.ok);
        EXPECT_EQ(to.error_code, error_code);
    }

    /// Four levels: linear 0x12'3456'7000 leads to 0x9000, by these entries.
    void long_mode() {
        state = {.cr0 = cr0_paging, .cr3 = top | 0x18, .cr4 = cr4_pae, .efer = efer_lma};
        put64(top, 0, second | all);
        put64(second, 0x48, third | all);
        put64(third, 0x1a2, fourth | all);
        put64(fourth, 0x167, 0x8000'0000'0000'9000 | all);
    }
    static constexpr std::uint64_t page = 0x12'3456'7000;

    PagingState state{};
};

} // namespace

TEST_F(Paging, WithoutPagingLinearIsPhysical) {
    state.cr0 = 1;
    leads(0x1234, 0x1234);
    EXPECT_TRUE(write(0xffff'ffff).ok);
}

// ---- Four levels --------------------------------------------------------------------------------

TEST_F(Paging, FourLevelsLeadToAPage) {
    long_mode();
    leads(page, 0x9000);
    leads(page + 0xabc, 0x9abc);
    EXPECT_TRUE(write(page).ok);
    leads(page | 0xffff'0000'0000'0000, 0x9000); // bits above the walk are nobody's business here
    faults(read(page + 0x1000), 0);
    faults(read(page - 0x1000), 0);
}

TEST_F(Paging, EachLevelMayBeMissing) {
    const struct {
        std::uint64_t table;
        unsigned index;
    } entries[] = {{top, 0}, {second, 0x48}, {third, 0x1a2}, {fourth, 0x167}};
    for (const auto &entry : entries) {
        long_mode();
        put64(entry.table, entry.index, second | (all & ~present));
        faults(read(page), 0);
        faults(write(page), 2);
        state.user = true;
        faults(read(page), 4);
        faults(write(page), 6);
    }
}

TEST_F(Paging, EachLevelMustAllowTheAccess) {
    const struct {
        std::uint64_t table;
        unsigned index;
        std::uint64_t to;
    } entries[] = {
        {top, 0, second}, {second, 0x48, third}, {third, 0x1a2, fourth}, {fourth, 0x167, 0x9000}};
    for (const auto &entry : entries) {
        long_mode();
        put64(entry.table, entry.index, entry.to | present | user);
        EXPECT_TRUE(read(page).ok);
        EXPECT_TRUE(write(page).ok) << "a supervisor may, with CR0.WP = 0";
        state.cr0 |= wp;
        faults(write(page), 3);
        EXPECT_TRUE(read(page).ok);
        state.cr0 &= ~wp;
        state.user = true;
        faults(write(page), 7);
        EXPECT_TRUE(read(page).ok);
        put64(entry.table, entry.index, entry.to | present | writable);
        faults(read(page), 5);
        faults(write(page), 7);
        state.user = false;
        EXPECT_TRUE(write(page).ok);
    }
}

TEST_F(Paging, LargePagesOfLongMode) {
    long_mode();
    put64(third, 0x1a2, 0x20'0000 | 0x1000 | large | all); // bit 12 is PAT
    leads(page + 0x123, 0x36'7123);
    put64(second, 0x48, 0x4000'0000 | 0x1000 | large | all);
    leads(page + 0x123, 0x4000'0000 + 0x3456'7123);
    put64(top, 0, second | large | all); // reserved there, and no page
    leads(page + 0x123, 0x4000'0000 + 0x3456'7123);
}

// ---- PAE ----------------------------------------------------------------------------------------

TEST_F(Paging, PaeBeginsWithWhatTheProcessorKeeps) {
    state = {.cr0 = cr0_paging, .cr3 = 0xdead'0000, .cr4 = cr4_pae};
    state.pdptes[2] = third | present; // these have no other rights
    put64(third, 0x1a2, fourth | all);
    put64(fourth, 0x167, 0x9000 | all);
    leads(0xb456'7abc, 0x9abc);
    EXPECT_TRUE(write(0xb456'7abc).ok);
    faults(read(0x3456'7abc), 0);
    faults(write(0xf456'7abc), 2);
    put64(third, 0x1a2, 0x20'0000 | large | all);
    leads(0xb456'7abc, 0x36'7abc);
}

// ---- Two levels ---------------------------------------------------------------------------------

TEST_F(Paging, TwoLevelsLeadToAPage) {
    state = {.cr0 = cr0_paging | wp, .cr3 = top | 0x18, .cr4 = 0};
    put32(top, 0x2d1, second | all);
    put32(second, 0x167, 0x9000 | present | user);
    leads(0xb456'7abc, 0x9abc);
    faults(write(0xb456'7abc), 3);
    faults(read(0xb456'8abc), 0);
    put32(second, 0x167, 0xfffff000 | all);
    leads(0xb456'7abc, 0xffff'fabc);
}

TEST_F(Paging, LargePagesOfTwoLevelsNeedPse) {
    state = {.cr0 = cr0_paging, .cr3 = top, .cr4 = cr4_pse};
    put32(top, 0x2d1, second | large | all);
    leads(0xb456'7abc, 0x16'7abc);
    put32(top, 0x2d1, 0x40'0000 | 0x1000 | large | all);
    leads(0xb456'7abc, 0x40'0000 + 0x16'7abc);
    state.cr4 = 0;
    put32(top, 0x2d1, second | large | all);
    put32(second, 0x167, 0x9000 | all);
    leads(0xb456'7abc, 0x9abc);
}

// ---- Tables that are not in RAM -----------------------------------------------------------------

TEST_F(Paging, ATableOutsideRamIsNotPresent) {
    long_mode();
    state.cr3 = 0x100000;
    faults(read(page), 0);
    state.cr3 = 0x000f'ffff'ffff'f000;
    faults(write(page), 2);
    long_mode();
    put64(second, 0x48, 0x7fff'0000'0000 | all);
    faults(read(page), 0);
}
