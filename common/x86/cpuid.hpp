// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The CPUID instruction, and the few of its bits that the steps ask for.
#pragma once

#include <cstdint>

namespace vtx {

/// What CPUID leaves in its four registers. \sdm{cpuid-cpu-identification}
struct CpuidResult {
    std::uint32_t eax; ///< EAX
    std::uint32_t ebx; ///< EBX
    std::uint32_t ecx; ///< ECX
    std::uint32_t edx; ///< EDX

    friend constexpr bool operator==(const CpuidResult &, const CpuidResult &) = default;
};

/// Bits of CPUID leaf 1, ECX. \sdm{table-feature-information-returned-in-the-ecx-register}
struct Cpuid1Ecx {
    static constexpr std::uint32_t monitor = 1u << 3;  ///< MONITOR and MWAIT
    static constexpr std::uint32_t vmx = 1u << 5;      ///< VMX
    static constexpr std::uint32_t smx = 1u << 6;      ///< SMX
    static constexpr std::uint32_t pcid = 1u << 17;    ///< PCID
    static constexpr std::uint32_t x2apic = 1u << 21;  ///< x2APIC
    static constexpr std::uint32_t xsave = 1u << 26;   ///< XSAVE is supported
    static constexpr std::uint32_t osxsave = 1u << 27; ///< CR4.OSXSAVE is set
    static constexpr std::uint32_t hypervisor = 1u
                                                << 31; ///< 0 on every real CPU; set by hypervisors
};

/// Bits of CPUID leaf 0x80000001, EDX. \sdm{cpuid-cpu-identification}
struct Cpuid80000001Edx {
    static constexpr std::uint32_t rdtscp = 1u << 27; ///< RDTSCP, and with it IA32_TSC_AUX
};

/// The 12 letters of a vendor ("GenuineIntel") with a terminating 0.
struct VendorName {
    char text[13]; ///< ASCII, as the processor gives it.
};

/// Reads a vendor's name out of the result of CPUID leaf 0: EBX, EDX, ECX, in this order.
constexpr VendorName cpuid_vendor(const CpuidResult &leaf0) {
    VendorName name{};
    const std::uint32_t words[] = {leaf0.ebx, leaf0.edx, leaf0.ecx};
    for (unsigned i = 0; i < 12; ++i) {
        name.text[i] = static_cast<char>((words[i / 4] >> (8 * (i % 4))) & 0xff);
    }
    return name;
}

/// Executes CPUID. Allowed in every mode and ring; in VMX non-root operation it always exits.
/// A leaf above the highest one gives the data of the highest basic leaf.
[[gnu::always_inline]] inline CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
    CpuidResult result{};
    asm volatile("cpuid"
                 : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                 : "a"(leaf), "c"(subleaf));
    return result;
}

} // namespace vtx
