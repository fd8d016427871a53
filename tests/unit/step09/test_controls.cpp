// SPDX-License-Identifier: GPL-2.0-only
// What step 09 asks of a processor before it uses it.
#include "vmcs_controls.hpp"

#include "kernel.h"

#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <string>

namespace {

std::string said; // by which the step refused

} // namespace

extern "C" void vtx_log_error(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    said = line;
}

using namespace vtx;

namespace {

/// A processor that has all controls, and forces none.
VmxCapabilities all_of_them() {
    VmxCapabilities vmx;
    for (Allowed *word : {&vmx.pin, &vmx.primary, &vmx.secondary, &vmx.exit, &vmx.entry})
        word->may_be_1 = 0xffffffff;
    vmx.basic = vmx.misc = vmx.ept_vpid = ~std::uint64_t{0};
    return vmx;
}

int choose(const VmxCapabilities &vmx) {
    VmcsControls controls{};
    said.clear();
    return choose_controls(vmx, controls);
}

} // namespace

TEST(Controls, AProcessorThatHasThemIsUsed) {
    EXPECT_EQ(choose(all_of_them()), 0);
    EXPECT_EQ(said, "");
}

TEST(Controls, TheInterruptWindowIsNeeded) {
    VmxCapabilities vmx = all_of_them();
    vmx.primary.may_be_1 &= ~(1u << 2);
    EXPECT_EQ(choose(vmx), -VTX_EOPNOTSUPP);
    EXPECT_NE(said.find("Interrupt-window exiting"), said.npos) << said;
}

TEST(Controls, WhatInsAndOutsSayIsNeeded) {
    VmxCapabilities vmx = all_of_them();
    vmx.basic &= ~(std::uint64_t{1} << 54);
    EXPECT_EQ(choose(vmx), -VTX_EOPNOTSUPP);
    EXPECT_NE(said.find("IA32_VMX_BASIC bit 54"), said.npos) << said;
}
