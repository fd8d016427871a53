// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Mutations of the event to inject and of the MSR lists. Part of mutations.hpp.
#pragma once

#include "mutations.hpp"

namespace vtx::testing::detail {

template <class Sink> void Collector<Sink>::events() {
    constexpr auto event = Field32::entry_interruption_information;
    const std::uint64_t valid = std::uint64_t{1} << 31;
    for (std::uint64_t type = 0; type < 8; ++type) {
        for (std::uint64_t vector = 0; vector < 36; ++vector) {
            for (const std::uint64_t code : {0u, 0x800u}) {
                add(Mutation{}
                        .set(event, valid | (type << 8) | vector | code)
                        .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0));
            }
        }
        for (const std::uint64_t length : {0u, 1u, 15u, 16u, 0x80000000u}) {
            add(Mutation{}
                    .set(event, valid | (type << 8) | 0x80)
                    .set(Field32::entry_instruction_length, length));
        }
        for (std::uint64_t activity = 0; activity < 4; ++activity) {
            for (const std::uint64_t vector : {0u, 1u, 2u, 3u, 6u, 14u, 18u, 0x20u}) {
                const std::uint64_t code = type == 3 && vector == 14 ? 0x800 : 0;
                add(Mutation{}
                        .set(event, valid | (type << 8) | vector | code)
                        .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0)
                        .flip(FieldNatural::guest_rflags, 0x200)
                        .set(Field32::guest_activity_state, activity));
            }
        }
        for (std::uint64_t blocking = 0; blocking < 16; ++blocking) {
            Mutation mutation;
            mutation.set(
                        event, valid | (type << 8) |
                                   (type == 2   ? 2
                                    : type == 7 ? 0
                                                : 6))
                .set(Field32::entry_instruction_length, type >= 4 ? 2 : 0)
                .flip(FieldNatural::guest_rflags, 0x200)
                .set(Field32::guest_interruptibility, blocking);
            add(mutation);
            add(mutation.set(
                Field32::pin_based_controls, base_.get(Field32::pin_based_controls) |
                                                 control_bit(PinControl::nmi_exiting) |
                                                 control_bit(PinControl::virtual_nmis)));
        }
    }
    {
        const Essential all{*this};
        for (const std::uint64_t valid_or_not : {valid, std::uint64_t{0}}) {
            add(Mutation{}.set(Field32::guest_activity_state, 3).set(event, valid_or_not | 0x202));
        }
        for (std::uint64_t blocking = 0; blocking < 16; ++blocking) {
            Mutation nmi;
            nmi.set(event, valid | 0x202)
                .flip(FieldNatural::guest_rflags, 0x200)
                .set(Field32::guest_interruptibility, blocking);
            add(nmi);
            add(nmi.set(
                Field32::pin_based_controls, base_.get(Field32::pin_based_controls) |
                                                 control_bit(PinControl::nmi_exiting) |
                                                 control_bit(PinControl::virtual_nmis)));
        }
    }
    for (unsigned bit = 0; bit < 32; ++bit) {
        add(Mutation{}.set(event, (valid | (3u << 8) | 6) ^ (std::uint64_t{1} << bit)));
        add(Mutation{}
                .set(event, valid | 0xb0d)
                .set(Field32::entry_exception_error_code, std::uint64_t{1} << bit));
        add(Mutation{}
                .set(event, valid | (4u << 8) | 0x80)
                .set(Field32::entry_instruction_length, std::uint64_t{1} << bit));
        add(Mutation{}.set(event, (std::uint64_t{1} << bit) & ~valid));
    }
}

template <class Sink> void Collector<Sink>::lists() {
    struct List {
        Field64 address;
        Field32 count;
    };
    for (const List &list :
         {List{Field64::exit_msr_store_address, Field32::exit_msr_store_count},
          List{Field64::exit_msr_load_address, Field32::exit_msr_load_count},
          List{Field64::entry_msr_load_address, Field32::entry_msr_load_count}}) {
        const std::uint64_t good = list.count == Field32::entry_msr_load_count
                                       ? around_.msr_load_list
                                       : around_.harmless_msrs;
        const std::uint64_t top = std::uint64_t{1} << cpu_.physical_address_width;
        for (const std::uint64_t address :
             {good, good | 1, good | 8, top, top - 16, top | good, std::uint64_t{1} << 63,
              ~std::uint64_t{0xf}}) {
            // An address within the width is loaded from, so only one that is known to hold
            // harmless entries may be.
            const bool loads = list.count != Field32::exit_msr_store_count;
            for (const std::uint64_t count : {1u, 2u, 3u}) {
                const bool enters =
                    list.count == Field32::entry_msr_load_count && address == good && count == 1;
                if (!(loads && address == top - 16 && count == 1) && !enters) {
                    add(Mutation{}.set(list.address, address).set(list.count, count));
                }
            }
        }
        for (unsigned bit = 0; bit < 64; ++bit) {
            if (bit < 4 || bit >= cpu_.physical_address_width) {
                add(Mutation{}
                        .set(list.address, good ^ (std::uint64_t{1} << bit))
                        .set(list.count, 1));
            }
        }
        if (list.count != Field32::entry_msr_load_count) {
            add(Mutation{}.set(list.address, 1).set(list.count, 0));
        }
    }
    const Essential all{*this};
    add(Mutation{}
            .set(
                Field64::exit_msr_store_address,
                (std::uint64_t{1} << cpu_.physical_address_width) - 0x100)
            .set(Field32::exit_msr_store_count, 0x10000001));
    for (const std::uint64_t word :
         {0xc0000100ull, 0xc0000101ull, 0x800ull, 0x808ull, 0x8ffull, 0x900ull, 0x7ffull, 0x9bull,
          0x79ull, 0x174ull, 0x100000174ull, 0x8000000000000174ull}) {
        load_entry(word, 0);
    }
    for (const std::uint64_t value : linear_edges) {
        for (const std::uint64_t msr :
             {0x175ull, 0x176ull, 0xc0000082ull, 0xc0000083ull, 0xc0000102ull}) {
            load_entry(msr, value);
        }
    }
    for (unsigned bit = 0; bit < 64; ++bit) {
        load_entry(0x174 | (bit >= 32 ? std::uint64_t{1} << bit : 0), 0);
        load_entry(0x277, 0x0606060606060606 ^ (std::uint64_t{1} << bit));
        load_entry(0xc0000084, std::uint64_t{1} << bit);
    }
}

template <class Sink> void Collector<Sink>::load_entry(std::uint64_t word, std::uint64_t value) {
    Mutation mutation;
    mutation.loads_msr = true;
    mutation.msr_index = word;
    mutation.msr_value = value;
    add(mutation);
}

} // namespace vtx::testing::detail
