// SPDX-License-Identifier: GPL-2.0-only
// long-file: one rule after the other, in the order of the SDM.
/// \file
/// Rules on the segment registers of the guest. Breaking one makes the VM entry fail with exit
/// reason 33. \sdm{checks-on-guest-segment-registers}
#pragma once

#include "doctor/rules/examination.hpp"
#include "x86/segments.hpp"

namespace vtx::entry_checks {

/// The four fields of one segment register of the guest.
struct SegmentFields {
    Field16 selector;  ///< "Guest CS selector", ...
    FieldNatural base; ///< "Guest CS base", ...
    Field32 limit;     ///< "Guest CS limit", ...
    Field32 rights;    ///< "Guest CS access rights", ...
};

namespace segment {

inline constexpr FailureClass bad = FailureClass::guest_state;
inline constexpr const char *sdm = "checks-on-guest-segment-registers";
inline constexpr const char *newer = "+checks-on-guest-segment-registers";

#define VTX_SEGMENT(name)                                                                          \
    {                                                                                              \
        Field16::guest_##name##_selector, FieldNatural::guest_##name##_base,                       \
            Field32::guest_##name##_limit, Field32::guest_##name##_access_rights                   \
    }

inline constexpr SegmentFields es = VTX_SEGMENT(es);
inline constexpr SegmentFields cs = VTX_SEGMENT(cs);
inline constexpr SegmentFields ss = VTX_SEGMENT(ss);
inline constexpr SegmentFields ds = VTX_SEGMENT(ds);
inline constexpr SegmentFields fs = VTX_SEGMENT(fs);
inline constexpr SegmentFields gs = VTX_SEGMENT(gs);
inline constexpr SegmentFields ldtr = VTX_SEGMENT(ldtr);
inline constexpr SegmentFields tr = VTX_SEGMENT(tr);

#undef VTX_SEGMENT

inline constexpr SegmentFields code_and_data[] = {cs, ss, ds, es, fs, gs};
inline constexpr SegmentFields data[] = {ds, es, fs, gs};

} // namespace segment

/// The access rights of a segment register of the guest.
constexpr AccessRights rights(Examination &x, const SegmentFields &segment) {
    return AccessRights{x.get(segment.rights)};
}

/// True if the register holds a segment: bit 16 of its access rights is 0. The rules treat CS as
/// usable whatever that bit says.
constexpr bool usable(Examination &x, const SegmentFields &segment) {
    return segment.rights == segment::cs.rights || !rights(x, segment).is_unusable();
}

/// Applies `check(segment)` to the six registers of code and data that are usable, unless the guest
/// is in virtual-8086 mode; each register is decided for itself.
template <class Check> constexpr void each_usable(Examination &x, Check &&check) {
    for (const SegmentFields &segment : segment::code_and_data) {
        if (!x.virtual_8086() && usable(x, segment)) {
            check(segment);
        }
        x.next();
    }
}

/// Applies `check(segment)` to the six registers of code and data of a virtual-8086 guest.
template <class Check> constexpr void each_virtual_8086(Examination &x, Check &&check) {
    for (const SegmentFields &segment : segment::code_and_data) {
        if (x.virtual_8086()) {
            check(segment);
        }
        x.next();
    }
}

/// G must fit the limit.
constexpr void granularity(Examination &x, const SegmentFields &segment) {
    if (!rights(x, segment).granularity_fits(x.get(segment.limit))) {
        x.fault(segment.rights, AccessRights::granularity_bit);
    }
}

#define VTX_SIX(part)                                                                              \
    segment::cs.part, segment::ss.part, segment::ds.part, segment::es.part, segment::fs.part,      \
        segment::gs.part

/// The rules on guest segment registers, in the order of the SDM.
inline constexpr Rule guest_segment_rules[] = {
    rule<segment::tr.selector>(
        "S01", segment::bad, "TI (bit 2) of the TR selector must be 0", segment::sdm,
        [](Examination &x) { x.zero(segment::tr.selector, 4); }),

    rule<segment::ldtr.selector, segment::ldtr.rights>(
        "S02", segment::bad, "TI (bit 2) of the selector of a usable LDTR must be 0", segment::sdm,
        [](Examination &x) {
            if (usable(x, segment::ldtr)) {
                x.zero(segment::ldtr.selector, 4);
            }
        }),

    rule<
        segment::ss.selector, segment::cs.selector, FieldNatural::guest_rflags,
        Field32::primary_controls, Field32::secondary_controls>(
        "S03", segment::bad,
        "the RPLs of SS and CS must be equal (not in virtual-8086 mode, nor in an unrestricted "
        "guest)",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086() || x.unrestricted()) {
                return;
            }
            const unsigned bits = (x.get(segment::ss.selector) ^ x.get(segment::cs.selector)) & 3u;
            if (bits != 0) {
                x.fault(segment::ss.selector, bits);
            }
        }),

    rule<FieldNatural::guest_rflags, VTX_SIX(selector), VTX_SIX(base)>(
        "S04", segment::bad,
        "in virtual-8086 mode the base of each segment must be 16 times its selector", segment::sdm,
        [](Examination &x) {
            each_virtual_8086(x, [&x](const SegmentFields &segment) {
                const std::uint64_t wanted = std::uint64_t{x.get(segment.selector)} << 4;
                const std::uint64_t bits = x.get(segment.base) ^ wanted;
                if (bits != 0) {
                    x.fault(segment.base, bits);
                }
            });
        }),

    rule<
        segment::tr.base, segment::fs.base, segment::gs.base, segment::ldtr.base,
        segment::ldtr.rights>(
        "S05", segment::bad,
        "the bases of TR, FS and GS must be canonical, and that of a usable LDTR", segment::sdm,
        [](Examination &x) {
            for (const SegmentFields &segment : {segment::tr, segment::fs, segment::gs}) {
                x.canonical(segment.base);
                x.next();
            }
            if (usable(x, segment::ldtr)) {
                x.canonical(segment::ldtr.base);
            }
        }),

    rule<
        segment::cs.base, segment::ss.base, segment::ds.base, segment::es.base, segment::ss.rights,
        segment::ds.rights, segment::es.rights>(
        "S06", segment::bad,
        "bits 63:32 of the base of CS must be 0, and of SS, DS and ES if they are usable",
        segment::sdm,
        [](Examination &x) {
            for (const SegmentFields &segment :
                 {segment::cs, segment::ss, segment::ds, segment::es}) {
                if (usable(x, segment)) {
                    x.zero(segment.base, 0xffffffff00000000);
                }
                x.next();
            }
        }),

    rule<FieldNatural::guest_rflags, VTX_SIX(limit)>(
        "S07", segment::bad, "in virtual-8086 mode each limit must be 0xFFFF", segment::sdm,
        [](Examination &x) {
            each_virtual_8086(x, [&x](const SegmentFields &segment) {
                const std::uint32_t bits = x.get(segment.limit) ^ 0xffffu;
                if (bits != 0) {
                    x.fault(segment.limit, bits);
                }
            });
        }),

    rule<FieldNatural::guest_rflags, VTX_SIX(rights)>(
        "S08", segment::bad, "in virtual-8086 mode all access rights must be F3H", segment::sdm,
        [](Examination &x) {
            each_virtual_8086(x, [&x](const SegmentFields &segment) {
                const std::uint32_t bits = x.get(segment.rights) ^ 0xf3u;
                if (bits != 0) {
                    x.fault(segment.rights, bits);
                }
            });
        }),

    rule<
        segment::cs.rights, FieldNatural::guest_rflags, Field32::primary_controls,
        Field32::secondary_controls>(
        "S09", segment::bad,
        "CS must have type 9, 11, 13 or 15, accessed code; in an unrestricted guest 3 is allowed "
        "too",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086()) {
                return;
            }
            const unsigned type = rights(x, segment::cs).type();
            const bool accessed_code = (type & 9u) == 9;
            if (!accessed_code && (type != SegmentType::data_accessed || !x.unrestricted())) {
                x.fault(segment::cs.rights, AccessRights::type_mask);
            }
        }),

    rule<segment::ss.rights, FieldNatural::guest_rflags>(
        "S10", segment::bad, "a usable SS must have type 3 or 7, accessed and writable data",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086() || !usable(x, segment::ss)) {
                return;
            }
            const unsigned type = rights(x, segment::ss).type();
            if (type != 3 && type != 7) {
                x.fault(segment::ss.rights, AccessRights::type_mask);
            }
        }),

    rule<
        segment::ds.rights, segment::es.rights, segment::fs.rights, segment::gs.rights,
        FieldNatural::guest_rflags>(
        "S11", segment::bad,
        "the type of usable DS, ES, FS and GS must be accessed, and readable if it is code",
        segment::sdm,
        [](Examination &x) {
            for (const SegmentFields &segment : segment::data) {
                if (!x.virtual_8086() && usable(x, segment)) {
                    const unsigned type = rights(x, segment).type();
                    unsigned bits = ~type & SegmentType::accessed;
                    if ((type & SegmentType::code) != 0) {
                        bits |= ~type & SegmentType::readable;
                    }
                    if (bits != 0) {
                        x.fault(segment.rights, bits);
                    }
                }
                x.next();
            }
        }),

    rule<VTX_SIX(rights), FieldNatural::guest_rflags>(
        "S12", segment::bad, "S (bit 4) must be 1 in CS and in each usable data segment",
        segment::sdm,
        [](Examination &x) {
            each_usable(x, [&x](const SegmentFields &segment) {
                if (!rights(x, segment).is_code_or_data()) {
                    x.fault(segment.rights, AccessRights::code_or_data);
                }
            });
        }),

    rule<
        segment::cs.rights, segment::ss.rights, FieldNatural::guest_rflags,
        Field32::primary_controls, Field32::secondary_controls>(
        "S13", segment::bad,
        "DPL of CS must be 0 for type 3, that of SS for types 9 and 11, at most that of SS for "
        "types 13 and 15",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086()) {
                return;
            }
            const AccessRights cs = rights(x, segment::cs);
            bool good = true;
            switch (cs.type()) {
            case 3:
                good = cs.dpl() == 0 || !x.unrestricted();
                break;
            case 9:
            case 11:
                good = cs.dpl() == rights(x, segment::ss).dpl();
                break;
            case 13:
            case 15:
                good = cs.dpl() <= rights(x, segment::ss).dpl();
                break;
            default: // a type that S09 does not allow
                break;
            }
            if (!good) {
                x.fault(segment::cs.rights, 3u << AccessRights::dpl_shift);
            }
        }),

    rule<
        segment::ss.rights, segment::ss.selector, FieldNatural::guest_rflags,
        Field32::primary_controls, Field32::secondary_controls>(
        "S14a", segment::bad,
        "DPL of SS must equal its RPL, unless the guest is unrestricted, even if SS is unusable",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086() || x.unrestricted()) {
                return;
            }
            const unsigned bits = rights(x, segment::ss).dpl() ^ (x.get(segment::ss.selector) & 3u);
            if (bits != 0) {
                x.fault(segment::ss.rights, bits << AccessRights::dpl_shift);
            }
        }),

    rule<
        segment::ss.rights, segment::cs.rights, FieldNatural::guest_cr0,
        FieldNatural::guest_rflags>(
        "S14b", segment::bad, "DPL of SS must be 0 if CS has type 3 or guest CR0.PE is 0",
        segment::sdm,
        [](Examination &x) {
            if (x.virtual_8086()) {
                return;
            }
            if (rights(x, segment::cs).type() == SegmentType::data_accessed ||
                (x.get(FieldNatural::guest_cr0) & Cr0::pe) == 0) {
                x.zero(segment::ss.rights, 3u << AccessRights::dpl_shift);
            }
        }),

    rule<
        segment::ds.rights, segment::es.rights, segment::fs.rights, segment::gs.rights,
        segment::ds.selector, segment::es.selector, segment::fs.selector, segment::gs.selector,
        FieldNatural::guest_rflags, Field32::primary_controls, Field32::secondary_controls>(
        "S15", segment::bad,
        "DPL of usable DS, ES, FS and GS of types 0 to 11 must be at least their RPL, unless the "
        "guest is unrestricted",
        segment::sdm,
        [](Examination &x) {
            for (const SegmentFields &segment : segment::data) {
                if (!x.virtual_8086() && !x.unrestricted() && usable(x, segment)) {
                    const AccessRights it = rights(x, segment);
                    if (it.type() <= 11 && it.dpl() < (x.get(segment.selector) & 3u)) {
                        x.fault(segment.rights, 3u << AccessRights::dpl_shift);
                    }
                }
                x.next();
            }
        }),

    rule<VTX_SIX(rights), FieldNatural::guest_rflags>(
        "S16", segment::bad, "P (bit 7) must be 1 in CS and in each usable data segment",
        segment::sdm,
        [](Examination &x) {
            each_usable(x, [&x](const SegmentFields &segment) {
                if (!rights(x, segment).is_present()) {
                    x.fault(segment.rights, AccessRights::present_bit);
                }
            });
        }),

    rule<VTX_SIX(rights), FieldNatural::guest_rflags>(
        "S17", segment::bad,
        "bits 11:8 and 31:17 of the access rights must be 0 in CS and in each usable data segment",
        segment::sdm,
        [](Examination &x) {
            each_usable(x, [&x](const SegmentFields &segment) {
                x.zero(segment.rights, AccessRights::reserved_bits);
            });
        }),

    rule<segment::cs.rights, Field32::entry_controls, FieldNatural::guest_rflags>(
        "S18", segment::bad,
        "D/B (bit 14) of CS must be 0 in an IA-32e mode guest whose CS has L (bit 13) set",
        segment::sdm,
        [](Examination &x) {
            if (!x.virtual_8086() && x.ia32e_guest() && rights(x, segment::cs).is_long_mode()) {
                x.zero(segment::cs.rights, AccessRights::default_big_bit);
            }
        }),

    rule<VTX_SIX(rights), VTX_SIX(limit), FieldNatural::guest_rflags>(
        "S19", segment::bad,
        "G (bit 15) must be 0 if bits 11:0 of the limit are not all 1, and 1 if bits 31:20 are "
        "not all 0, in CS and in each usable data segment",
        segment::sdm,
        [](Examination &x) {
            each_usable(x, [&x](const SegmentFields &segment) { granularity(x, segment); });
        }),

    rule<segment::tr.rights, Field32::entry_controls>(
        "S20a", segment::bad,
        "TR must have type 11, a busy TSS; outside IA-32e mode 3, a busy 16-bit TSS, is allowed "
        "too",
        segment::sdm,
        [](Examination &x) {
            const unsigned type = rights(x, segment::tr).type();
            if (type != 11 && (type != 3 || x.ia32e_guest())) {
                x.fault(segment::tr.rights, AccessRights::type_mask);
            }
        }),

    rule<segment::tr.rights>(
        "S20b", segment::bad,
        "TR must be usable and present, with S (bit 4) and bits 11:8 and 31:17 of its access "
        "rights 0",
        segment::sdm,
        [](Examination &x) {
            const std::uint32_t word = x.get(segment::tr.rights);
            const std::uint32_t zeroes = AccessRights::code_or_data | AccessRights::unusable_bit |
                                         AccessRights::reserved_bits;
            const std::uint32_t bits = (word & zeroes) | (~word & AccessRights::present_bit);
            if (bits != 0) {
                x.fault(segment::tr.rights, bits);
            }
        }),

    rule<segment::tr.rights, segment::tr.limit>(
        "S20c", segment::bad,
        "G (bit 15) of TR must be 0 if bits 11:0 of the limit are not all 1, and 1 if bits 31:20 "
        "are not all 0",
        segment::sdm, [](Examination &x) { granularity(x, segment::tr); }),

    rule<segment::ldtr.rights>(
        "S21a", segment::bad, "a usable LDTR must have type 2, an LDT", segment::sdm,
        [](Examination &x) {
            if (usable(x, segment::ldtr) && rights(x, segment::ldtr).type() != SystemType::ldt) {
                x.fault(segment::ldtr.rights, AccessRights::type_mask);
            }
        }),

    rule<segment::ldtr.rights>(
        "S21b", segment::bad,
        "a usable LDTR must be present, with S (bit 4) and bits 11:8 and 31:17 of its access "
        "rights 0",
        segment::sdm,
        [](Examination &x) {
            if (!usable(x, segment::ldtr)) {
                return;
            }
            const std::uint32_t word = x.get(segment::ldtr.rights);
            const std::uint32_t bits =
                (word & (AccessRights::code_or_data | AccessRights::reserved_bits)) |
                (~word & AccessRights::present_bit);
            if (bits != 0) {
                x.fault(segment::ldtr.rights, bits);
            }
        }),

    rule<segment::ldtr.rights, segment::ldtr.limit>(
        "S21c", segment::bad,
        "G (bit 15) of a usable LDTR must be 0 if bits 11:0 of the limit are not all 1, and 1 if "
        "bits 31:20 are not all 0",
        segment::sdm,
        [](Examination &x) {
            if (usable(x, segment::ldtr)) {
                granularity(x, segment::ldtr);
            }
        }),

    rule<FieldNatural::guest_cr4, segment::ss.rights, segment::cs.rights>(
        "S22", segment::bad,
        "with guest CR4.FRED, DPL of SS must be 0 or 3, and L (bit 13) of CS must be 1 if it is 0",
        segment::newer,
        [](Examination &x) {
            if ((x.get(FieldNatural::guest_cr4) & Cr4::fred) == 0) {
                return;
            }
            const unsigned dpl = rights(x, segment::ss).dpl();
            if (dpl == 1 || dpl == 2) {
                x.fault(segment::ss.rights, 3u << AccessRights::dpl_shift);
            }
            x.next();
            if (rights(x, segment::ss).dpl() == 0 && !rights(x, segment::cs).is_long_mode()) {
                x.fault(segment::cs.rights, AccessRights::long_mode_bit);
            }
        }),
};

#undef VTX_SIX

} // namespace vtx::entry_checks
