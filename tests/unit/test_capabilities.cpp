// SPDX-License-Identifier: GPL-2.0-only
// long-file: a table of MSR values a processor.
// Reading the capability MSRs: only those that exist, whatever the processor. The fake processors
// fault on every other register, as real ones do.
#include "vmx/capabilities.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>

using namespace vtx;

namespace {

/// A set of MSRs that records what was read and what faulted.
class FakeProcessor {
public:
    explicit FakeProcessor(std::map<Msr, std::uint64_t> msrs) : msrs_{std::move(msrs)} {}

    std::optional<std::uint64_t> operator()(Msr msr) {
        read_.insert(msr);
        const auto found = msrs_.find(msr);
        if (found == msrs_.end()) {
            ++faults_;
            return std::nullopt;
        }
        return found->second;
    }

    void set(Msr msr, std::uint64_t value) { msrs_[msr] = value; }
    void remove(Msr msr) { msrs_.erase(msr); }
    bool was_read(Msr msr) const { return read_.contains(msr); }
    std::size_t reads() const { return read_.size(); }
    int faults() const { return faults_; }

private:
    std::map<Msr, std::uint64_t> msrs_;
    std::set<Msr> read_;
    int faults_ = 0;
};

constexpr std::uint64_t word(std::uint32_t may_be_1, std::uint32_t must_be_1) {
    return (std::uint64_t{may_be_1} << 32) | must_be_1;
}

// Revision 2BH, 4096 bytes, write-back, INS/OUTS information.
constexpr std::uint64_t basic_without_true = 0x005810000000002b;
constexpr std::uint64_t basic_with_true = 0x00d810000000002b;

/// The first processors with VMX: neither secondary controls nor TRUE MSRs.
FakeProcessor oldest() {
    return FakeProcessor{{
        {Msr::vmx_basic, basic_without_true},
        {Msr::vmx_pinbased_ctls, word(0x1f, 0x16)},
        {Msr::vmx_procbased_ctls, word(0x7799fffe, 0x0401e172)},
        {Msr::vmx_exit_ctls, word(0x0003efff, 0x00036dff)},
        {Msr::vmx_entry_ctls, word(0x000013ff, 0x000011ff)},
        {Msr::vmx_misc, 0x00040000},
        {Msr::vmx_cr0_fixed0, 0x80000021},
        {Msr::vmx_cr0_fixed1, 0xffffffff},
        {Msr::vmx_cr4_fixed0, 0x2000},
        {Msr::vmx_cr4_fixed1, 0x27ff},
        {Msr::vmx_vmcs_enum, 0x2c},
    }};
}

/// Bochs's penryn: secondary controls 0x41, no EPT, no VPID, no VM functions, no
/// preemption timer, no PAT and EFER controls.
FakeProcessor penryn() {
    return FakeProcessor{{
        {Msr::vmx_basic, basic_with_true},
        {Msr::vmx_pinbased_ctls, word(0x3f, 0x16)},
        {Msr::vmx_procbased_ctls, word(0xf7f9fffe, 0x0401e172)},
        {Msr::vmx_exit_ctls, word(0x0003ffff, 0x00036dff)},
        {Msr::vmx_entry_ctls, word(0x000033ff, 0x000011ff)},
        {Msr::vmx_misc, 0x000401e0},
        {Msr::vmx_cr0_fixed0, 0x80000021},
        {Msr::vmx_cr0_fixed1, 0xffffffff},
        {Msr::vmx_cr4_fixed0, 0x2000},
        {Msr::vmx_cr4_fixed1, 0x467ff},
        {Msr::vmx_vmcs_enum, 0x2c},
        {Msr::vmx_procbased_ctls2, word(0x41, 0)},
        {Msr::vmx_true_pinbased_ctls, word(0x3f, 0x16)},
        {Msr::vmx_true_procbased_ctls, word(0xf7f9fffe, 0x04006172)},
        {Msr::vmx_true_exit_ctls, word(0x0003ffff, 0x00036dfb)},
        {Msr::vmx_true_entry_ctls, word(0x000033ff, 0x000011fb)},
    }};
}

/// Bochs's skylake: secondary controls 0x2177fff, so EPT, VPID and VM functions; writes to
/// read-only fields and injection with length 0.
FakeProcessor skylake() {
    FakeProcessor cpu = penryn();
    cpu.set(Msr::vmx_pinbased_ctls, word(0x7f, 0x16));
    cpu.set(Msr::vmx_true_pinbased_ctls, word(0x7f, 0x16));
    cpu.set(Msr::vmx_exit_ctls, word(0x007fffff, 0x00036dff));
    cpu.set(Msr::vmx_true_exit_ctls, word(0x007fffff, 0x00036dfb));
    cpu.set(Msr::vmx_entry_ctls, word(0x0000f3ff, 0x000011ff));
    cpu.set(Msr::vmx_true_entry_ctls, word(0x0000f3ff, 0x000011fb));
    cpu.set(Msr::vmx_misc, 0x600401e0);
    cpu.set(Msr::vmx_procbased_ctls2, word(0x02177fff, 0));
    cpu.set(Msr::vmx_ept_vpid_cap, 0x00000f0106334141);
    cpu.set(Msr::vmx_vmfunc, 1);
    return cpu;
}

/// A processor of 2024: tertiary and secondary VM-exit controls on top.
FakeProcessor newest() {
    FakeProcessor cpu = skylake();
    cpu.set(Msr::vmx_procbased_ctls, word(0xfffbfffe, 0x0401e172));
    cpu.set(Msr::vmx_true_procbased_ctls, word(0xfffbfffe, 0x04006172));
    cpu.set(Msr::vmx_exit_ctls, word(0xf77fffff, 0x00036dff));
    cpu.set(Msr::vmx_true_exit_ctls, word(0xf77fffff, 0x00036dfb));
    cpu.set(Msr::vmx_procbased_ctls3, 0x10);
    cpu.set(Msr::vmx_exit_ctls2, 0x8);
    return cpu;
}

// A reader takes an Msr and may fail; nothing else is one.
template <class Reader>
concept IsReader = requires(Reader reader) {
    read_capabilities(reader);
};
static_assert(IsReader<FakeProcessor>);
static_assert(IsReader<std::optional<std::uint64_t> (*)(Msr)>);
static_assert(!IsReader<std::optional<std::uint64_t> (*)(std::uint32_t)>);
static_assert(!IsReader<const char *(*)(Msr)>);
static_assert(!IsReader<int>);

} // namespace

TEST(ReadCapabilities, OldestReadsElevenRegisters) {
    FakeProcessor cpu = oldest();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_EQ(cpu.faults(), 0);
    EXPECT_EQ(cpu.reads(), 11u);
    EXPECT_FALSE(caps->has_true_controls());
    EXPECT_EQ(caps->primary, (Allowed{0x0401e172, 0x7799fffe}));
    EXPECT_EQ(caps->secondary, Allowed{});
    EXPECT_EQ(caps->ept_vpid, 0u);
    EXPECT_FALSE(caps->supports(PrimaryControl::activate_secondary_controls));
    EXPECT_FALSE(caps->supports(SecondaryControl::wbinvd_exiting));
    EXPECT_FALSE(caps->supports(EptVpidCapability::invept));
}

TEST(ReadCapabilities, PenrynHasNoEptRegister) {
    FakeProcessor cpu = penryn();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_EQ(cpu.faults(), 0);
    EXPECT_TRUE(cpu.was_read(Msr::vmx_procbased_ctls2));
    EXPECT_FALSE(cpu.was_read(Msr::vmx_ept_vpid_cap)) << "48CH is #GP there";
    EXPECT_FALSE(cpu.was_read(Msr::vmx_vmfunc)) << "491H is #GP there";
    EXPECT_FALSE(cpu.was_read(Msr::vmx_procbased_ctls3));
    EXPECT_FALSE(cpu.was_read(Msr::vmx_exit_ctls2));
    EXPECT_TRUE(caps->supports(SecondaryControl::wbinvd_exiting));
    EXPECT_FALSE(caps->supports(SecondaryControl::enable_ept));
    EXPECT_FALSE(caps->supports(PinControl::activate_preemption_timer));
    EXPECT_FALSE(caps->supports(ExitControl::load_efer));
}

TEST(ReadCapabilities, TrueRegistersAreTheOnesThatCount) {
    FakeProcessor cpu = penryn();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_EQ(caps->primary.must_be_1, 0x04006172u);
    EXPECT_EQ(caps->exit.must_be_1, 0x00036dfbu);
    EXPECT_EQ(caps->entry.must_be_1, 0x000011fbu);
    EXPECT_EQ(setting(PrimaryControl::cr3_load_exiting, caps->primary), Setting::may_be_1);
    FakeProcessor old = oldest();
    EXPECT_EQ(
        setting(PrimaryControl::cr3_load_exiting, read_capabilities(old)->primary),
        Setting::must_be_1);
}

TEST(ReadCapabilities, SkylakeHasEptAndVmFunctions) {
    FakeProcessor cpu = skylake();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_EQ(cpu.faults(), 0);
    EXPECT_TRUE(caps->supports(SecondaryControl::enable_ept));
    EXPECT_TRUE(caps->supports(SecondaryControl::enable_pml));
    EXPECT_TRUE(caps->supports(EptVpidCapability::accessed_and_dirty_flags));
    EXPECT_TRUE(caps->supports(EptVpidCapability::invvpid_retaining_globals));
    EXPECT_FALSE(caps->supports(EptVpidCapability::page_walk_length_5));
    EXPECT_TRUE(caps->supports(VmFunction::eptp_switching));
    EXPECT_EQ(caps->tertiary, 0u);
    EXPECT_FALSE(cpu.was_read(Msr::vmx_procbased_ctls3));
}

TEST(ReadCapabilities, VpidAloneIsEnoughForTheEptRegister) {
    FakeProcessor cpu = penryn();
    cpu.set(Msr::vmx_procbased_ctls2, word(0x20, 0));
    cpu.set(Msr::vmx_ept_vpid_cap, 0x00000f0100000000);
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_TRUE(caps->supports(EptVpidCapability::invvpid));
}

TEST(ReadCapabilities, NewestReadsEverything) {
    FakeProcessor cpu = newest();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    EXPECT_EQ(cpu.faults(), 0);
    EXPECT_EQ(cpu.reads(), 0x494u - 0x480u);
    EXPECT_TRUE(caps->supports(TertiaryControl::ipi_virtualization));
    EXPECT_TRUE(caps->supports(SecondaryExitControl::prematurely_busy_shadow_stack));
    EXPECT_FALSE(caps->supports(SecondaryExitControl::load_fred));
}

TEST(ReadCapabilities, RegisterThatShouldExistAndDoesNot) {
    for (std::uint32_t number = 0x480; number <= 0x493; ++number) {
        FakeProcessor cpu = newest();
        cpu.remove(Msr{number});
        EXPECT_FALSE(read_capabilities(cpu)) << std::hex << number;
        EXPECT_EQ(cpu.faults(), 1) << "stops at the first fault";
    }
}

TEST(ReadCapabilities, AtCompileTime) {
    constexpr auto caps = read_capabilities([](Msr msr) -> std::optional<std::uint64_t> {
        return msr == Msr::vmx_basic ? std::optional<std::uint64_t>{0x2b} : 0;
    });
    static_assert(caps && caps->revision() == 0x2b);
}

TEST(VmxCapabilities, Basic) {
    VmxCapabilities caps;
    caps.basic = basic_with_true;
    EXPECT_EQ(caps.revision(), 0x2bu);
    EXPECT_EQ(caps.region_size(), 4096u);
    EXPECT_EQ(caps.memory_type(), 6u);
    EXPECT_TRUE(caps.reports_ins_outs());
    EXPECT_TRUE(caps.has_true_controls());
    EXPECT_FALSE(caps.has_32_bit_addresses());
    EXPECT_FALSE(caps.has_dual_monitor_treatment());
    EXPECT_FALSE(caps.injects_any_error_code());

    caps.basic = ~0ull;
    EXPECT_EQ(caps.revision(), 0x7fffffffu) << "bit 31 is the shadow-VMCS indicator";
    EXPECT_EQ(caps.region_size(), 0x1fffu);
    EXPECT_EQ(caps.memory_type(), 15u);

    const struct {
        unsigned bit;
        bool (VmxCapabilities::*is)() const;
    } rows[] = {{48, &VmxCapabilities::has_32_bit_addresses},
                {49, &VmxCapabilities::has_dual_monitor_treatment},
                {54, &VmxCapabilities::reports_ins_outs},
                {55, &VmxCapabilities::has_true_controls},
                {56, &VmxCapabilities::injects_any_error_code},
                {58, &VmxCapabilities::injects_nested_exceptions}};
    for (const auto &row : rows) {
        caps.basic = 1ull << row.bit;
        EXPECT_TRUE((caps.*row.is)()) << row.bit;
        caps.basic = ~caps.basic;
        EXPECT_FALSE((caps.*row.is)()) << row.bit;
    }
}

TEST(VmxCapabilities, Misc) {
    VmxCapabilities caps;
    caps.misc = 0x600401e0; // Bochs's skylake
    EXPECT_EQ(caps.preemption_timer_rate(), 0u);
    EXPECT_TRUE(caps.stores_efer_lma());
    EXPECT_TRUE(caps.has_activity_hlt());
    EXPECT_TRUE(caps.has_activity_shutdown());
    EXPECT_TRUE(caps.has_activity_wait_for_sipi());
    EXPECT_EQ(caps.cr3_targets(), 4u);
    EXPECT_EQ(caps.msr_list_max(), 512u);
    EXPECT_TRUE(caps.writes_read_only_fields());
    EXPECT_TRUE(caps.injects_length_0());
    EXPECT_FALSE(caps.has_intel_pt());

    caps.misc = 0x000401e0; // Bochs's penryn
    EXPECT_FALSE(caps.writes_read_only_fields());
    EXPECT_FALSE(caps.injects_length_0());

    caps.misc = (7ull << 25) | 5 | (0x1234ull << 32) | (1ull << 14);
    EXPECT_EQ(caps.preemption_timer_rate(), 5u);
    EXPECT_EQ(caps.msr_list_max(), 4096u);
    EXPECT_EQ(caps.cr3_targets(), 0u);
    EXPECT_EQ(caps.mseg_revision(), 0x1234u);
    EXPECT_TRUE(caps.has_intel_pt());

    const struct {
        unsigned bit;
        bool (VmxCapabilities::*is)() const;
    } rows[] = {{5, &VmxCapabilities::stores_efer_lma},
                {6, &VmxCapabilities::has_activity_hlt},
                {7, &VmxCapabilities::has_activity_shutdown},
                {8, &VmxCapabilities::has_activity_wait_for_sipi},
                {14, &VmxCapabilities::has_intel_pt},
                {29, &VmxCapabilities::writes_read_only_fields},
                {30, &VmxCapabilities::injects_length_0}};
    for (const auto &row : rows) {
        caps.misc = 1ull << row.bit;
        EXPECT_TRUE((caps.*row.is)()) << row.bit;
        caps.misc = ~caps.misc;
        EXPECT_FALSE((caps.*row.is)()) << row.bit;
    }
    EXPECT_EQ(caps.preemption_timer_rate(), 31u);
    EXPECT_EQ(caps.cr3_targets(), 511u);
}

TEST(VmxCapabilities, HighestFieldIndex) {
    VmxCapabilities caps;
    caps.vmcs_enum = 0x2e;
    EXPECT_EQ(caps.highest_field_index(), 0x17u);
}

TEST(VmxCapabilities, AdjustTakesItsOwnWord) {
    FakeProcessor cpu = skylake();
    const auto caps = read_capabilities(cpu);
    ASSERT_TRUE(caps);
    const auto pin = caps->adjust(
        ControlSet{PinControl::nmi_exiting}, ControlSet{PinControl::activate_preemption_timer});
    EXPECT_TRUE(pin.ok());
    EXPECT_EQ(pin.value.bits, 0x16u | 0x08u | 0x40u);
    const auto exit = caps->adjust(ControlSet{ExitControl::host_address_space_size});
    EXPECT_TRUE(exit.ok());
    EXPECT_EQ(exit.value.bits, 0x00036dfbu | 0x200u);
    EXPECT_FALSE(caps->adjust(ControlSet{TertiaryControl::enable_hlat}).ok());
}
