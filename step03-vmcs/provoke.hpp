// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMX instructions that fail on purpose, to see how the processor says no.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "vmcs.hpp"
#include "vmx/instruction_errors.hpp"
#include "vmx/instructions.hpp"
#include "vmx_operation.hpp"

namespace vtx {

/// The answers to four instructions that must fail. They are given in VMX operation with a
/// current VMCS, so each failure is VMfailValid: there is a field for its number.
struct Provoked {
    Result second_vmxon{};   ///< VMXON in VMX root operation: error 15.
    Result wrong_revision{}; ///< VMPTRLD of a page with another revision identifier: error 11.
    Result no_such_field{};  ///< VMREAD of a field that no processor has: error 12.
    Result read_only{};      ///< VMWRITE to the exit reason: error 13, where it is forbidden.

    /// An encoding that stands for no field: the last index of the natural-width host fields.
    static constexpr std::uint32_t unknown_field = 0x6ffe;

    /// Asks for the failures. `odd` is a VMCS region with a wrong revision identifier.
    void provoke(const VmxonRegion &vmxon_region, const VmcsRegion &odd) {
        std::uint64_t unused = 0;
        second_vmxon = vmxon(vmxon_region.physical());
        wrong_revision = vmptrld(odd.physical());
        no_such_field = vmread(unknown_field, unused);
        read_only = vmwrite(field_encoding(Field32::exit_reason), 0);
    }

    /// True if the processor said what the SDM says it must. `writable` is bit 29 of
    /// IA32_VMX_MISC: with it VMWRITE may write any field. \sdm{vm-instruction-error-numbers}
    bool as_expected(bool writable) const {
        return failed_with(second_vmxon, 15) && failed_with(wrong_revision, 11) &&
               failed_with(no_such_field, 12) &&
               (writable ? read_only.ok() : failed_with(read_only, 13));
    }

    /// One line an instruction.
    void tell() const {
        tell_one("VMXON a second time", second_vmxon);
        tell_one("VMPTRLD of a region with a wrong revision identifier", wrong_revision);
        tell_one("VMREAD of a field that does not exist", no_such_field);
        tell_one("VMWRITE to the exit reason, which is read-only", read_only);
    }

private:
    static bool failed_with(const Result &result, std::uint32_t error) {
        return result.status == Status::fail_valid && result.error == error;
    }

    static void tell_one(const char *what, const Result &result) {
        if (result.ok())
            vtx_log("%s: allowed on this CPU (bit 29 of IA32_VMX_MISC is 1)", what);
        else
            vtx_log(
                "%s: %s, error %u: %s", what, status_name(result.status), result.error,
                instruction_error_text(result.error));
    }
};

} // namespace vtx
