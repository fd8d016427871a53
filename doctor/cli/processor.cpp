// SPDX-License-Identifier: GPL-2.0-only
// Descriptions of processors: the default, out of words, this machine's.
#include "doctor.hpp"

#include "x86/msr.hpp"

#include <cpuid.h>
#include <fcntl.h>
#include <ostream>
#include <unistd.h>

namespace doctor {

namespace {

using vtx::Allowed;
using vtx::ProcessorDescription;

/// Where a word goes in a description.
struct WordPlace {
    const char *name;
    std::uint64_t (*get)(const ProcessorDescription &);
    void (*set)(ProcessorDescription &, std::uint64_t);
};

std::uint64_t both(Allowed allowed) {
    return (std::uint64_t{allowed.may_be_1} << 32) | allowed.must_be_1;
}

#define DOCTOR_ALLOWED(word, member)                                                               \
    {                                                                                              \
        word, [](const ProcessorDescription &cpu) { return both(cpu.vmx.member); },                \
            [](ProcessorDescription &cpu, std::uint64_t value) {                                   \
                cpu.vmx.member = Allowed::from_msr(value);                                         \
            }                                                                                      \
    }
#define DOCTOR_VALUE(word, member)                                                                 \
    {                                                                                              \
        word, [](const ProcessorDescription &cpu) { return std::uint64_t{cpu.member}; },           \
            [](ProcessorDescription &cpu, std::uint64_t value) {                                   \
                cpu.member = static_cast<decltype(cpu.member)>(value);                             \
            }                                                                                      \
    }

// The TRUE MSRs come behind those that they replace.
const WordPlace places[] = {
    DOCTOR_VALUE("IA32_VMX_BASIC", vmx.basic),
    DOCTOR_ALLOWED("IA32_VMX_PINBASED_CTLS", pin),
    DOCTOR_ALLOWED("IA32_VMX_PROCBASED_CTLS", primary),
    DOCTOR_ALLOWED("IA32_VMX_EXIT_CTLS", exit),
    DOCTOR_ALLOWED("IA32_VMX_ENTRY_CTLS", entry),
    DOCTOR_VALUE("IA32_VMX_MISC", vmx.misc),
    DOCTOR_VALUE("IA32_VMX_CR0_FIXED0", vmx.cr0_fixed0),
    DOCTOR_VALUE("IA32_VMX_CR0_FIXED1", vmx.cr0_fixed1),
    DOCTOR_VALUE("IA32_VMX_CR4_FIXED0", vmx.cr4_fixed0),
    DOCTOR_VALUE("IA32_VMX_CR4_FIXED1", vmx.cr4_fixed1),
    DOCTOR_VALUE("IA32_VMX_VMCS_ENUM", vmx.vmcs_enum),
    DOCTOR_ALLOWED("IA32_VMX_PROCBASED_CTLS2", secondary),
    DOCTOR_VALUE("IA32_VMX_EPT_VPID_CAP", vmx.ept_vpid),
    DOCTOR_ALLOWED("IA32_VMX_TRUE_PINBASED_CTLS", pin),
    DOCTOR_ALLOWED("IA32_VMX_TRUE_PROCBASED_CTLS", primary),
    DOCTOR_ALLOWED("IA32_VMX_TRUE_EXIT_CTLS", exit),
    DOCTOR_ALLOWED("IA32_VMX_TRUE_ENTRY_CTLS", entry),
    DOCTOR_VALUE("IA32_VMX_VMFUNC", vmx.vm_functions),
    DOCTOR_VALUE("IA32_VMX_PROCBASED_CTLS3", vmx.tertiary),
    DOCTOR_VALUE("IA32_VMX_EXIT_CTLS2", vmx.secondary_exit),
    DOCTOR_VALUE("MAXPHYADDR", physical_address_width),
    DOCTOR_VALUE("LINEAR_ADDRESS_WIDTH", linear_address_width),
    DOCTOR_VALUE("IA32_EFER_BITS", efer_bits),
    DOCTOR_VALUE("IA32_DEBUGCTL_BITS", debugctl_bits),
    DOCTOR_VALUE("IA32_PERF_GLOBAL_CTRL_BITS", perf_global_ctrl_bits),
    DOCTOR_VALUE("CPU_FEATURES", features),
};

/// True for a word that print_processor() leaves out, because its TRUE form says the same.
bool replaced(std::string_view name) {
    return name == "IA32_VMX_PINBASED_CTLS" || name == "IA32_VMX_PROCBASED_CTLS" ||
           name == "IA32_VMX_EXIT_CTLS" || name == "IA32_VMX_ENTRY_CTLS";
}

} // namespace

void apply(const ProcessorWords &words, ProcessorDescription &description) {
    for (const WordPlace &place : places) {
        const auto word = words.find(place.name);
        if (word != words.end()) {
            place.set(description, word->second);
        }
    }
}

Processor any_processor() {
    Processor processor;
    ProcessorDescription &cpu = processor.description;
    processor.source = "not given, so what is checked is what every Intel 64 processor demands "
                       "(--cpu checks more)";
    cpu.vmx.basic = (std::uint64_t{4096} << 32) | (std::uint64_t{6} << 50) |
                    (std::uint64_t{1} << 55) | (std::uint64_t{1} << 56) | (std::uint64_t{1} << 58);
    // The default-1 bits that no processor has been seen to make optional.
    cpu.vmx.pin = Allowed{0x00000016, 0xffffffff};
    cpu.vmx.primary = Allowed{0x04006172, 0xffffffff};
    cpu.vmx.secondary = Allowed{0, 0xffffffff};
    cpu.vmx.exit = Allowed{0x00036dfb, 0xffffffff};
    cpu.vmx.entry = Allowed{0x000011fb, 0xffffffff};
    cpu.vmx.tertiary = ~std::uint64_t{0};
    cpu.vmx.secondary_exit = ~std::uint64_t{0};
    cpu.vmx.misc = 0x1e0 | (4u << 16) | (7u << 25) | (1u << 30);
    cpu.vmx.cr0_fixed0 = 0x80000021;
    cpu.vmx.cr0_fixed1 = 0xffffffff;
    cpu.vmx.cr4_fixed0 = 0x2000;
    cpu.vmx.cr4_fixed1 = ~std::uint64_t{0};
    cpu.vmx.ept_vpid = ~std::uint64_t{0};
    cpu.vmx.vm_functions = ~std::uint64_t{0};
    cpu.physical_address_width = 52;
    cpu.linear_address_width = 57;
    cpu.features = (1u << std::size(vtx::cpu_feature_names)) - 1;
    cpu.efer_bits = vtx::efer_bits_intel64;
    cpu.debugctl_bits = vtx::debugctl_bits_any | 4u | 0x8000u;
    cpu.perf_global_ctrl_bits = ~std::uint64_t{0};
    return processor;
}

std::optional<std::string> this_machine(Processor &processor) {
    const auto query = [](std::uint32_t leaf, std::uint32_t subleaf) {
        vtx::CpuidResult result{};
        __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
        return result;
    };
    if ((query(1, 0).ecx & vtx::Cpuid1Ecx::vmx) == 0) {
        return "this machine's processor has no VMX";
    }
    const int file = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return "/dev/cpu/0/msr cannot be opened (as root: modprobe msr)";
    }
    const auto read = [file](vtx::Msr msr) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        const auto size = pread(file, &value, sizeof(value), static_cast<off_t>(msr));
        return size == sizeof(value) ? std::optional{value} : std::nullopt;
    };
    const auto capabilities = vtx::read_capabilities(read);
    close(file);
    if (!capabilities) {
        return "a capability MSR of this machine cannot be read";
    }
    processor.description = vtx::describe_processor(*capabilities, query);
    processor.source = "this machine";
    processor.exact = true;
    return std::nullopt;
}

void print_processor(std::ostream &out, const ProcessorDescription &description) {
    out << "# A processor, for vmcs-doctor --cpu FILE\n";
    for (const WordPlace &place : places) {
        if (replaced(place.name)) {
            continue;
        }
        if (std::string_view{place.name} == "CPU_FEATURES") {
            out << place.name << " =";
            for (std::size_t i = 0; i < std::size(vtx::cpu_feature_names); ++i) {
                if (((description.features >> i) & 1u) != 0) {
                    out << ' ' << vtx::cpu_feature_names[i];
                }
            }
            out << '\n';
            continue;
        }
        const std::uint64_t value = place.get(description);
        if (value <= 64 && std::string_view{place.name}.substr(0, 5) != "IA32_") {
            out << place.name << " = " << value << '\n';
        } else {
            out << place.name << " = 0x" << std::hex << value << std::dec << '\n';
        }
    }
}

} // namespace doctor
