// SPDX-License-Identifier: GPL-2.0-only
// In place of common/vmx/instructions.hpp, on the host: a VMCS whose fields hold what was written
// to them, so that a test can say what a VM exit left there and see what a handler made of it.
#pragma once

#include <cstdint>
#include <map>

#include "vmx/fields.hpp"
#include "vmx/result.hpp"
#include "x86/physical.hpp"

namespace fake {

/// The fields of the current VMCS by their encoding. What was never written is 0.
inline std::map<std::uint32_t, std::uint64_t> vmcs;

} // namespace fake

namespace vtx {

inline Result vmclear(PhysicalAddress) { return {Instruction::vmclear, Status::succeed, 0}; }
inline Result vmptrld(PhysicalAddress) { return {Instruction::vmptrld, Status::succeed, 0}; }

inline Result vmread(std::uint32_t encoding, std::uint64_t &value) {
    value = fake::vmcs[encoding];
    return {Instruction::vmread, Status::succeed, 0};
}

inline Result vmwrite(std::uint32_t encoding, std::uint64_t value) {
    fake::vmcs[encoding] = value;
    return {Instruction::vmwrite, Status::succeed, 0};
}

// Nothing that a test calls uses these, but they are named in what it includes.
Result vmxon(PhysicalAddress region);
Result vmxoff();
Result vmptrst(PhysicalAddress &current);

} // namespace vtx
