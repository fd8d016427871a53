// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Rules on descriptor-table registers, RIP, RFLAGS and SSP of the guest. Breaking one makes the VM
/// entry fail with exit reason 33.
/// \sdm{checks-on-guest-descriptor-table-registers} \sdm{checks-on-guest-rip-and-rflags}
#pragma once

#include "doctor/rules/examination.hpp"
#include "doctor/rules/exit_entry_controls.hpp"
#include "doctor/rules/guest_segments.hpp"

namespace vtx::entry_checks {

namespace rip_state {

inline constexpr FailureClass bad = FailureClass::guest_state;
inline constexpr const char *tables = "checks-on-guest-descriptor-table-registers";
inline constexpr const char *rip = "checks-on-guest-rip-and-rflags";
inline constexpr const char *rip_newer = "+checks-on-guest-rip-and-rflags";

inline constexpr auto rflags = FieldNatural::guest_rflags;

} // namespace rip_state

/// True if the guest will run 64-bit code.
constexpr bool guest_in_64_bit_mode(Examination &x) {
    return x.ia32e_guest() && rights(x, segment::cs).is_long_mode();
}

/// The rules on the guest's descriptor-table registers, RIP and RFLAGS, in the order of the SDM.
inline constexpr Rule guest_register_state_rules[] = {
    rule<FieldNatural::guest_gdtr_base, FieldNatural::guest_idtr_base>(
        "D01", rip_state::bad, "the guest bases of GDTR and IDTR must be canonical",
        rip_state::tables,
        [](Examination &x) {
            x.canonical(FieldNatural::guest_gdtr_base);
            x.next();
            x.canonical(FieldNatural::guest_idtr_base);
        }),

    rule<Field32::guest_gdtr_limit, Field32::guest_idtr_limit>(
        "D02", rip_state::bad, "bits 31:16 of the guest limits of GDTR and IDTR must be 0",
        rip_state::tables,
        [](Examination &x) {
            x.zero(Field32::guest_gdtr_limit, 0xffff0000);
            x.next();
            x.zero(Field32::guest_idtr_limit, 0xffff0000);
        }),

    rule<FieldNatural::guest_rip, Field32::entry_controls, Field32::guest_cs_access_rights>(
        "R01", rip_state::bad,
        "bits 63:32 of guest RIP must be 0, unless the guest will run 64-bit code", rip_state::rip,
        [](Examination &x) {
            if (!guest_in_64_bit_mode(x)) {
                x.zero(FieldNatural::guest_rip, 0xffffffff00000000);
            }
        }),

    rule<FieldNatural::guest_rip, Field32::entry_controls, Field32::guest_cs_access_rights>(
        "R02", rip_state::bad,
        "in 64-bit code, the bits of guest RIP above the linear-address width must all be equal",
        rip_state::rip,
        [](Examination &x) {
            if (guest_in_64_bit_mode(x)) {
                const std::uint64_t bits = x.not_identical(x.get(FieldNatural::guest_rip));
                if (bits != 0) {
                    x.fault(FieldNatural::guest_rip, bits);
                }
            }
        }),

    rule<FieldNatural::guest_rflags>(
        "R03", rip_state::bad,
        "bits 63:22, 15, 5 and 3 of guest RFLAGS must be 0, and bit 1 must be 1", rip_state::rip,
        [](Examination &x) {
            const std::uint64_t flags = x.get(rip_state::rflags);
            const std::uint64_t bits = (flags & 0xffffffffffc08028) | (~flags & Rflags::always_1);
            if (bits != 0) {
                x.fault(rip_state::rflags, bits);
            }
        }),

    rule<FieldNatural::guest_rflags, Field32::entry_controls, FieldNatural::guest_cr0>(
        "R04", rip_state::bad,
        "guest RFLAGS.VM must be 0 in an IA-32e mode guest, and if guest CR0.PE is 0",
        rip_state::rip,
        [](Examination &x) {
            if (!x.virtual_8086()) {
                return;
            }
            if ((x.get(FieldNatural::guest_cr0) & Cr0::pe) == 0 || x.ia32e_guest()) {
                x.fault(rip_state::rflags, Rflags::vm);
            }
        }),

    rule<FieldNatural::guest_rflags, Field32::entry_interruption_information>(
        "R05", rip_state::bad, "injecting an external interrupt needs guest RFLAGS.IF",
        rip_state::rip,
        [](Examination &x) {
            if (injection(x).is(Injection::external_interrupt) &&
                (x.get(rip_state::rflags) & Rflags::if_) == 0) {
                x.fault(rip_state::rflags, Rflags::if_);
            }
        }),

    rule<FieldNatural::guest_ssp, Field32::entry_controls>(
        "R06", rip_state::bad,
        "with \"load CET state\", guest SSP must be a multiple of 4, and its bits above the "
        "linear-address width all equal",
        rip_state::rip_newer,
        [](Examination &x) {
            if (x.has(EntryControl::load_cet_state)) {
                const std::uint64_t value = x.get(FieldNatural::guest_ssp);
                const std::uint64_t bits = (value & 3u) | x.not_identical(value);
                if (bits != 0) {
                    x.fault(FieldNatural::guest_ssp, bits);
                }
            }
        }),

    rule<FieldNatural::guest_cr4, FieldNatural::guest_rflags, Field32::guest_ss_access_rights>(
        "R07", rip_state::bad, "with guest CR4.FRED, RFLAGS.IOPL must be 0 if DPL of SS is 3",
        rip_state::rip_newer,
        [](Examination &x) {
            if ((x.get(FieldNatural::guest_cr4) & Cr4::fred) != 0 &&
                rights(x, segment::ss).dpl() == 3) {
                x.zero(rip_state::rflags, Rflags::iopl);
            }
        }),
};

} // namespace vtx::entry_checks
