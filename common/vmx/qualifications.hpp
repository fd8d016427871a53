// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Exit qualifications, decoded into plain structs: one struct and one function per format. No
/// decoder is needed where the qualification is a plain address (INVLPG, page faults) or 0.
#pragma once

#include "x86/general_registers.hpp"
#include "x86/segments.hpp"

#include <cstdint>

namespace vtx {

/// One bit of an exit qualification.
constexpr bool qualification_bit(std::uint64_t qualification, unsigned number) {
    return ((qualification >> number) & 1u) != 0;
}

/// How a control register was accessed, bits 5:4.
enum class CrAccessType : std::uint8_t {
    mov_to_cr = 0,
    mov_from_cr = 1,
    clts = 2,
    lmsw = 3,
};

/// Exit reason 28. \sdm{table-exit-qualification-for-control-register-accesses}
struct CrAccess {
    unsigned cr{};                      ///< Bits 3:0: 0, 3, 4 or 8; 0 for CLTS and LMSW.
    CrAccessType type{};                ///< Bits 5:4.
    bool lmsw_memory_operand{};         ///< Bit 6: LMSW took its word from memory.
    GeneralRegister general_register{}; ///< Bits 11:8, for MOV CR only.
    std::uint16_t lmsw_source{};        ///< Bits 31:16, for LMSW only: the word.

    friend constexpr bool operator==(const CrAccess &, const CrAccess &) = default;
};

/// Decodes the qualification of exit reason 28.
constexpr CrAccess decode_cr_access(std::uint64_t qualification) {
    return CrAccess{
        static_cast<unsigned>(qualification & 0xf),
        static_cast<CrAccessType>((qualification >> 4) & 3), qualification_bit(qualification, 6),
        static_cast<GeneralRegister>((qualification >> 8) & 0xf),
        static_cast<std::uint16_t>(qualification >> 16)};
}

/// Exit reason 29. \sdm{table-exit-qualification-for-mov-dr}
struct DrAccess {
    unsigned dr{};                      ///< Bits 2:0: number of the debug register.
    bool from_dr{};                     ///< Bit 4: true for a read of the debug register.
    GeneralRegister general_register{}; ///< Bits 11:8.

    friend constexpr bool operator==(const DrAccess &, const DrAccess &) = default;
};

/// Decodes the qualification of exit reason 29.
constexpr DrAccess decode_dr_access(std::uint64_t qualification) {
    return DrAccess{
        static_cast<unsigned>(qualification & 7), qualification_bit(qualification, 4),
        static_cast<GeneralRegister>((qualification >> 8) & 0xf)};
}

/// Exit reason 30. \sdm{table-exit-qualification-for-i-o-instructions}
struct IoAccess {
    unsigned size{};      ///< Bits 2:0 plus 1: 1, 2 or 4 bytes.
    bool in{};            ///< Bit 3: true for IN and INS, false for OUT and OUTS.
    bool string{};        ///< Bit 4: INS or OUTS.
    bool rep{};           ///< Bit 5: with a REP prefix.
    bool immediate{};     ///< Bit 6: the port is in the instruction, not in DX.
    std::uint16_t port{}; ///< Bits 31:16.

    friend constexpr bool operator==(const IoAccess &, const IoAccess &) = default;
};

/// Decodes the qualification of exit reason 30.
constexpr IoAccess decode_io_access(std::uint64_t qualification) {
    return IoAccess{static_cast<unsigned>(qualification & 7) + 1,
                    qualification_bit(qualification, 3),
                    qualification_bit(qualification, 4),
                    qualification_bit(qualification, 5),
                    qualification_bit(qualification, 6),
                    static_cast<std::uint16_t>(qualification >> 16)};
}

/// What started a task switch, bits 31:30.
enum class TaskSwitchSource : std::uint8_t {
    call = 0,
    iret = 1,
    jmp = 2,
    task_gate = 3, ///< a task gate in the IDT: see the IDT-vectoring information
};

/// Exit reason 9. \sdm{table-exit-qualification-for-task-switch}
struct TaskSwitch {
    Selector selector{};       ///< Bits 15:0: the TSS that the guest tried to switch to.
    TaskSwitchSource source{}; ///< Bits 31:30.

    friend constexpr bool operator==(const TaskSwitch &, const TaskSwitch &) = default;
};

/// Decodes the qualification of exit reason 9.
constexpr TaskSwitch decode_task_switch(std::uint64_t qualification) {
    return TaskSwitch{
        Selector{static_cast<std::uint16_t>(qualification)},
        static_cast<TaskSwitchSource>((qualification >> 30) & 3)};
}

/// Exit reason 0 with vector 1. The conditions that DR6 would show, not yet in the guest's DR6.
/// Bits 11 and 16 are newer than the pinned edition of the SDM.
/// \sdm{table-exit-qualification-for-debug-exceptions}
struct DebugConditions {
    std::uint8_t breakpoints{}; ///< Bits 3:0: B0 to B3.
    bool bus_lock{};            ///< Bit 11: BLD. (In DR6 itself the bit is inverted.)
    bool register_access{};     ///< Bit 13: BD, an access to debug registers with DR7.GD set.
    bool single_step{};         ///< Bit 14: BS, a single step, or with BTF a taken branch.
    bool transactional{};       ///< Bit 16: RTM. (In DR6 itself the bit is inverted.)

    friend constexpr bool operator==(const DebugConditions &, const DebugConditions &) = default;
};

/// Decodes the qualification of a debug exception, and the guest pending debug exceptions field,
/// whose bits lie the same way except bit 12. \sdm{table-format-of-pending-debug-exceptions}
constexpr DebugConditions decode_debug_conditions(std::uint64_t qualification) {
    return DebugConditions{
        static_cast<std::uint8_t>(qualification & 0xf), qualification_bit(qualification, 11),
        qualification_bit(qualification, 13), qualification_bit(qualification, 14),
        qualification_bit(qualification, 16)};
}

/// How the APIC-access page was touched, bits 15:12.
enum class ApicAccessType : std::uint8_t {
    linear_read = 0,
    linear_write = 1,
    linear_fetch = 2,
    linear_event_delivery = 3,
    linear_asynchronous = 4, ///< not part of an instruction: branch trace, processor events
    physical_event_delivery = 10,
    physical_asynchronous = 11, ///< likewise, by guest-physical address
    physical_instruction = 15,  ///< a fetch, or an access by an instruction
};

/// Exit reason 44. Types 4 and 11 and bit 16 are newer than the pinned edition of the SDM.
/// \sdm{basic-vm-exit-information-in-vm-exit}, in its table on APIC-access VM exits
struct ApicAccess {
    unsigned offset{};     ///< Bits 11:0: offset in the page, for linear accesses.
    ApicAccessType type{}; ///< Bits 15:12.
    bool asynchronous{};   ///< Bit 16: not part of an instruction or of event delivery.

    friend constexpr bool operator==(const ApicAccess &, const ApicAccess &) = default;
};

/// Decodes the qualification of exit reason 44.
constexpr ApicAccess decode_apic_access(std::uint64_t qualification) {
    return ApicAccess{
        static_cast<unsigned>(qualification & 0xfff),
        static_cast<ApicAccessType>((qualification >> 12) & 0xf),
        qualification_bit(qualification, 16)};
}

/// Exit reason 48. Bits 6, 9 to 11 and 13 to 16 are newer than the pinned edition of the SDM.
/// \sdm{table-exit-qualification-for-ept-violations}
struct EptViolation {
    bool read{};                  ///< Bit 0: the access was a data read.
    bool write{};                 ///< Bit 1: a data write.
    bool fetch{};                 ///< Bit 2: an instruction fetch.
    bool readable{};              ///< Bit 3: the translation allowed reads.
    bool writable{};              ///< Bit 4: writes.
    bool executable{};            ///< Bit 5: fetches (with mode-based execute: supervisor ones).
    bool user_executable{};       ///< Bit 6: fetches at user-mode addresses, mode-based only.
    bool linear_address_valid{};  ///< Bit 7: the guest-linear address field is valid.
    bool is_translation_result{}; ///< Bit 8: access to the page itself, not to a paging structure.
    bool user_mode_address{};     ///< Bit 9: advanced information; valid if bits 7 and 8 are 1.
    bool writable_page{};         ///< Bit 10: likewise: the guest's tables allow writes.
    bool execute_disable_page{};  ///< Bit 11: likewise: the guest's tables forbid fetches.
    bool nmi_unblocking{};        ///< Bit 12: an IRET had unblocked NMIs before the violation.
    bool shadow_stack{};          ///< Bit 13: a shadow-stack access.
    bool supervisor_shadow_stack{}; ///< Bit 14: EPT marks the page as supervisor shadow stack.
    bool guest_paging_verify{};     ///< Bit 15: guest-paging verification failed.
    bool asynchronous{};            ///< Bit 16: not part of an instruction (trace output).

    friend constexpr bool operator==(const EptViolation &, const EptViolation &) = default;
};

/// Decodes the qualification of exit reason 48.
constexpr EptViolation decode_ept_violation(std::uint64_t qualification) {
    const auto bit = [qualification](unsigned number) {
        return qualification_bit(qualification, number);
    };
    return EptViolation{bit(0),  bit(1),  bit(2),  bit(3),  bit(4),  bit(5),
                        bit(6),  bit(7),  bit(8),  bit(9),  bit(10), bit(11),
                        bit(12), bit(13), bit(14), bit(15), bit(16)};
}

/// Exit reason 62, \sdm{page-modification-logging}. Bit 16 is newer than the pinned edition.
/// \sdm{basic-vm-exit-information-in-vm-exit}
struct PmlFull {
    bool nmi_unblocking{}; ///< Bit 12: an IRET had unblocked NMIs before the exit.
    bool asynchronous{};   ///< Bit 16: not part of an instruction.

    friend constexpr bool operator==(const PmlFull &, const PmlFull &) = default;
};

/// Decodes the qualification of exit reason 62.
constexpr PmlFull decode_pml_full(std::uint64_t qualification) {
    return PmlFull{qualification_bit(qualification, 12), qualification_bit(qualification, 16)};
}

/// Exit reason 66, which is newer than the pinned edition of the SDM.
struct SppEvent {
    bool miss{};           ///< Bit 11: true for an SPP miss, false for an SPP misconfiguration.
    bool nmi_unblocking{}; ///< Bit 12: an IRET had unblocked NMIs before the exit.
    bool asynchronous{};   ///< Bit 16: not part of an instruction.

    friend constexpr bool operator==(const SppEvent &, const SppEvent &) = default;
};

/// Decodes the qualification of exit reason 66.
constexpr SppEvent decode_spp_event(std::uint64_t qualification) {
    return SppEvent{
        qualification_bit(qualification, 11), qualification_bit(qualification, 12),
        qualification_bit(qualification, 16)};
}

/// Exit reason 75, which is newer than the pinned edition of the SDM.
struct InstructionTimeout {
    bool context_invalid{}; ///< Bit 0: the guest's state is corrupt; it must not be resumed.
    bool nmi_unblocking{};  ///< Bit 12: an IRET had unblocked NMIs before the exit.

    friend constexpr bool
    operator==(const InstructionTimeout &, const InstructionTimeout &) = default;
};

/// Decodes the qualification of exit reason 75.
constexpr InstructionTimeout decode_instruction_timeout(std::uint64_t qualification) {
    return InstructionTimeout{
        qualification_bit(qualification, 0), qualification_bit(qualification, 12)};
}

/// Exit reasons 4 (vector of the SIPI) and 45 (vector of the virtualized EOI): bits 7:0.
/// \sdm{basic-vm-exit-information-in-vm-exit}
constexpr std::uint8_t decode_vector(std::uint64_t qualification) {
    return static_cast<std::uint8_t>(qualification);
}

/// Exit reason 56: offset of the write in the virtual-APIC page, bits 11:0.
/// \sdm{virtualizing-writes-to-the-apic-access-page}
constexpr unsigned decode_apic_write(std::uint64_t qualification) {
    return static_cast<unsigned>(qualification & 0xfff);
}

/// Exit reason 36: true if MONITOR had armed the address-range monitor.
/// \sdm{basic-vm-exit-information-in-vm-exit}
constexpr bool decode_mwait_armed(std::uint64_t qualification) {
    return qualification_bit(qualification, 0);
}

/// Exit reason 32 on processors with WRMSRNS: true if it was that instruction, not WRMSR.
constexpr bool decode_is_wrmsrns(std::uint64_t qualification) {
    return qualification_bit(qualification, 0);
}

/// Exit reason 54 on processors with WBNOINVD: true if it was that instruction, not WBINVD.
constexpr bool decode_is_wbnoinvd(std::uint64_t qualification) {
    return qualification_bit(qualification, 0);
}

/// Exit qualification of exit reason 33. Hardware need not tell: 0 is common.
/// \sdm{vm-entry-failures-during-or-after-loading-guest-state}
enum class EntryFailure : std::uint64_t {
    unspecified = 0,
    pdpte_loading = 2,     ///< a PDPTE had a reserved bit set
    nmi_injection = 3,     ///< an NMI into a guest in which STI blocks events
    vmcs_link_pointer = 4, ///< the VMCS link pointer is invalid
};

/// The qualification of exit reason 33 in words. (That of exit reason 34 is the number of the bad
/// entry of the VM-entry MSR-load list, counted from 1.) Never null.
constexpr const char *entry_failure_text(std::uint64_t qualification) {
    switch (static_cast<EntryFailure>(qualification)) {
    case EntryFailure::unspecified:
        return "not told which";
    case EntryFailure::pdpte_loading:
        return "loading the PDPTEs";
    case EntryFailure::nmi_injection:
        return "NMI injection while STI blocks events";
    case EntryFailure::vmcs_link_pointer:
        return "VMCS link pointer";
    }
    return "(reserved qualification)";
}

} // namespace vtx
