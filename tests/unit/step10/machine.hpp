// SPDX-License-Identifier: GPL-2.0-only
// What several tests of this folder need: a machine, and a VM exit.
#pragma once

#include "exit.hpp"
#include "fakes.hpp"
#include "vm.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

/// A machine with 1 MiB of RAM. It gives all of it back.
struct Machine : testing::Test {
    Machine() {
        fake::memory = {};
        EXPECT_TRUE(vm->memory.allocate(1));
        vm->clock.start(__builtin_ia32_rdtsc(), 2'000'000);
    }
    ~Machine() override {
        vm.reset();
        EXPECT_EQ(fake::memory.in_use, 0u);
    }
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    /// All that was printed.
    std::string printed() const {
        std::string text;
        for (std::size_t i = 0; i < vm->output.size; i++)
            text += static_cast<char>(vm->output.bytes[i]);
        return text;
    }

    std::unique_ptr<vtx::Vm> vm = std::make_unique<vtx::Vm>();
};

/// A virtual CPU that has just left its guest: 64-bit code at privilege level 0.
struct Exits : Machine {
    Exits() {
        fake::vmcs.clear();
        set(vtx::FieldNatural::guest_cr0, 0x80000031);
        set(vtx::FieldNatural::guest_rip, 0x1000);
        set(vtx::Field64::guest_efer, 0x500);
        set(vtx::Field32::exit_instruction_length, 2);
        set(vtx::Field32::guest_ss_access_rights, 0xc093);
        set(vtx::Field32::guest_cs_access_rights, 0xa09b);
        set(vtx::FieldNatural::guest_rflags, 0x202);
        vcpu->registers = {};
    }

    template <vtx::VmcsField F> static void set(F field, std::uint64_t value) {
        fake::vmcs[vtx::field_encoding(field)] = value;
    }
    template <vtx::VmcsField F> static std::uint64_t get(F field) {
        return fake::vmcs[vtx::field_encoding(field)];
    }

    const std::unique_ptr<vtx::Vcpu> vcpu = std::make_unique<vtx::Vcpu>();
    vtx::Failure failure{};
    vtx::CurrentVmcs vmcs{vcpu->vmcs, failure};
    vtx::Exit exit{*vcpu, *vm, vmcs, vtx::ExitReason::rdmsr};
};
