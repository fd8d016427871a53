// SPDX-License-Identifier: GPL-2.0-only
// long-file: a whole program that runs without an operating system.
// The differential test on bare metal: for each VMCS the doctor's verdict and what the processor
// does, one line each on the printer port, which run.py reads.
#include "deviations.hpp"
#include "mutations.hpp"

#include "vmx/entry_checks/entry_checks.hpp"
#include "vmx/instructions.hpp"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

using namespace vtx;
using namespace vtx::testing;
using namespace vtx::entry_checks;

extern "C" {
int enter();
void entered();
void guest_code();
extern std::uint8_t gdt[], tss[], idt[];
void differential();
[[noreturn]] void unexpected_exception(unsigned vector, const std::uint64_t *frame);
// What libgcc would have; the compiler calls it for copies of structures.
void *memcpy(void *to, const void *from, std::size_t size);
void *memset(void *to, int value, std::size_t size);
}

void *memcpy(void *to, const void *from, std::size_t size) {
    void *const start = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return start;
}

void *memset(void *to, int value, std::size_t size) {
    void *const start = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return start;
}

// The runner writes these four words into the image, behind the eight letters.
struct Settings {
    char magic[8];
    std::uint32_t model;  // one bit of Model
    std::uint32_t seed;   // of the random pairs
    std::uint32_t pairs;  // how many, for each known-good VMCS
    std::uint32_t stride; // of what is not essential, take every n-th; 1 is all of it
};
extern "C" const volatile Settings settings = {
    {'V', 'T', 'X', 'D', 'I', 'F', 'F', '1'}, 0, 0, 0, 1};

namespace {

void out_byte(std::uint16_t port, std::uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

// The first printer port: data, then the strobe. Bochs appends the byte to a file.
void print(char c) {
    out_byte(0x378, static_cast<std::uint8_t>(c));
    out_byte(0x37a, 0x0d);
    out_byte(0x37a, 0x0c);
}

void print(const char *text) {
    while (*text != 0) {
        print(*text++);
    }
}

void print_hex(std::uint64_t value) {
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) {
        shift -= 4;
    }
    for (; shift >= 0; shift -= 4) {
        print("0123456789abcdef"[(value >> shift) & 0xf]);
    }
}

void print_value(const char *name, std::uint64_t value) {
    print(name);
    print(" = 0x");
    print_hex(value);
    print('\n');
}

[[noreturn]] void finish(const char *word) {
    print(word);
    print('\n');
    for (const char *c = "Shutdown"; *c != 0; ++c) {
        out_byte(0x8900, static_cast<std::uint8_t>(*c)); // Bochs ends
    }
    for (;;) {
        asm volatile("hlt");
    }
}

[[noreturn]] void give_up(const char *what, std::uint64_t value) {
    print("FAILED ");
    print(what);
    print(' ');
    print_hex(value);
    print('\n');
    finish("END");
}

constexpr std::uint64_t ram_end = std::uint64_t{32} << 20;

// Pages, from 16 MByte on.
std::uint64_t next_page = std::uint64_t{16} << 20;

std::uint64_t new_page() {
    const std::uint64_t page = next_page;
    next_page += page_size;
    return page;
}

volatile std::uint64_t *words_at(std::uint64_t address) {
    return reinterpret_cast<volatile std::uint64_t *>(address);
}

/// Physical memory as the rules see it; what is not there reads as ones on this machine.
bool read_memory(const void *, std::uint64_t address, std::uint64_t &value) {
    value = address + 8 <= ram_end ? *words_at(address) : ~std::uint64_t{0};
    return true;
}

ProcessorDescription cpu;
EntrySituation situation;
Surroundings around;
VmcsSnapshot base, wanted, written;
bool supported[field_count];
Verdict verdict;
std::uint32_t case_number;
std::uint32_t skipped;
Mutation mutations[24000];
bool essential[24000];
unsigned mutation_count;
std::uint64_t random_state;

std::uint32_t random_below(std::uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>((random_state >> 33) % limit);
}

void check(Result result, const char *what) {
    if (!result.ok()) {
        give_up(what, result.error);
    }
}

void make_pages() {
    around.page = new_page();
    around.second_page = new_page();
    around.link_good = new_page();
    around.link_shadow = new_page();
    around.link_bad = new_page();
    around.harmless_msrs = new_page();
    around.msr_load_list = new_page();
    around.msr_load_count = 2;
    *words_at(around.link_good) = cpu.vmx.revision();
    *words_at(around.link_shadow) = cpu.vmx.revision() | 0x80000000u;
    *words_at(around.link_bad) = cpu.vmx.revision() ^ 1u;
    for (unsigned i = 0; i < 256; ++i) {
        words_at(around.harmless_msrs)[2 * i] = static_cast<std::uint32_t>(Msr::sysenter_cs);
    }
    around.long_mode_root = 0x1000; // this program's own tables
    around.pae_root = new_page();
    for (unsigned i = 0; i < 4; ++i) {
        around.pdptes[i] = (0x3000 + 0x1000 * i) | 1u;
        words_at(around.pae_root)[i] = around.pdptes[i];
    }
    around.flat_root = new_page();
    *reinterpret_cast<volatile std::uint32_t *>(around.flat_root) = 0x87; // 4 MByte, for ring 3 too
    around.ept_root = new_page();
    const std::uint64_t pdpt = new_page();
    *words_at(around.ept_root) = pdpt | 7;
    for (std::uint64_t i = 0; i < 4; ++i) {
        const std::uint64_t directory = new_page();
        words_at(pdpt)[i] = directory | 7;
        for (std::uint64_t j = 0; j < 512; ++j) {
            words_at(directory)[j] = (i << 30) | (j << 21) | 0xb7; // write-back, large, RWX
        }
    }
    around.guest_rip = reinterpret_cast<std::uint64_t>(&guest_code);
    around.host_cr0 = read_cr0();
    around.host_cr3 = read_cr3();
    around.host_cr4 = read_cr4();
    around.host_efer = read_msr(Msr::efer);
    around.host_tr_base = reinterpret_cast<std::uint64_t>(tss);
    around.host_gdtr_base = reinterpret_cast<std::uint64_t>(gdt);
    around.host_idtr_base = reinterpret_cast<std::uint64_t>(idt);
    around.host_rsp = new_page() + page_size;
    around.host_rip = reinterpret_cast<std::uint64_t>(&entered);
    around.current_vmcs = new_page();
}

/// The two entries of the MSR-load list: one that is of interest, and one that ends every entry.
void set_msr_list(std::uint64_t index, std::uint64_t value) {
    words_at(around.msr_load_list)[0] = index;
    words_at(around.msr_load_list)[1] = value;
    words_at(around.msr_load_list)[2] = static_cast<std::uint32_t>(Msr::fs_base);
    words_at(around.msr_load_list)[3] = 0;
}

void activate_vmcs() {
    check(vmclear(PhysicalAddress{around.current_vmcs}), "VMCLEAR");
    *words_at(around.current_vmcs) = cpu.vmx.revision();
    check(vmptrld(PhysicalAddress{around.current_vmcs}), "VMPTRLD");
    written.clear();
}

/// Writes those fields that differ from what the VMCS holds.
void write_vmcs(const VmcsSnapshot &vmcs) {
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        const FieldInfo &field = all_fields[slot];
        if (!supported[slot] || field.kind == FieldKind::read_only) {
            continue;
        }
        const auto now = written.find(field.encoding);
        const std::uint64_t value = vmcs.values[slot];
        if (!now || *now != value) {
            check(vmwrite(field.encoding, value), field.identifier);
            written.set(field.encoding, value);
        }
    }
}

std::uint64_t read_field(std::uint32_t encoding) {
    std::uint64_t value = 0;
    check(vmread(encoding, value), "VMREAD");
    return value;
}

void probe_fields() {
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        std::uint64_t value = 0;
        supported[slot] = vmread(all_fields[slot].encoding, value).ok();
    }
}

/// An outcome: what happened, or what may happen.
struct Outcome {
    enum Kind : std::uint8_t { error, exit33, exit34, entered_guest, other } kind;
    std::uint64_t number;
};

Outcome attempt() {
    switch (enter()) {
    case 1:
        return {Outcome::other, 1};
    case 2:
        return {Outcome::error, read_field(field_encoding(Field32::vm_instruction_error))};
    default:
        break;
    }
    const auto reason =
        static_cast<std::uint32_t>(read_field(field_encoding(Field32::exit_reason)));
    const std::uint64_t more = read_field(field_encoding(FieldNatural::exit_qualification));
    if (reason == 0x80000021) {
        return {Outcome::exit33, more};
    }
    if (reason == 0x80000022) {
        return {Outcome::exit34, more};
    }
    return {(reason >> 31) != 0 ? Outcome::other : Outcome::entered_guest, reason};
}

bool fits(const Prediction &ends, const Outcome &seen) {
    switch (seen.kind) {
    case Outcome::error:
        return (seen.number == 7 && ends.error_7) || (seen.number == 8 && ends.error_8);
    case Outcome::exit33:
        return seen.number < 8 && ((ends.qualifications >> seen.number) & 1u) != 0;
    case Outcome::exit34:
        return ends.msr_entry != 0 && ends.msr_entry == seen.number;
    case Outcome::entered_guest:
        return ends.enters;
    case Outcome::other:
        return false;
    }
    return false;
}

void print_outcome(const Outcome &seen) {
    constexpr char kinds[] = {'e', 'g', 'm', 'v', '?'};
    print(kinds[seen.kind]);
    print_hex(seen.number);
}

void print_prediction(const Prediction &ends) {
    print(ends.error_7 ? "e7" : "");
    print(ends.error_8 ? "e8" : "");
    for (unsigned i = 0; i < 8; ++i) {
        if (((ends.qualifications >> i) & 1u) != 0) {
            print('g');
            print_hex(i);
        }
    }
    if (ends.msr_entry != 0) {
        print('m');
        print_hex(ends.msr_entry);
    }
    print(ends.enters ? "v" : "");
}

void print_bits(const std::uint64_t (&bits)[rule_limit / 64]) {
    bool first = true;
    for (unsigned i = 0; i < rule_count; ++i) {
        if (((bits[i / 64] >> (i % 64)) & 1u) != 0) {
            print(first ? "" : ",");
            print(all_rules[i].id);
            first = false;
        }
    }
    print(first ? "-" : "");
}

/// A line in Bochs' own log, between which those of this case stand: it reports an RDMSR of a
/// register that does not exist, with its number.
void mark_log(std::uint32_t number) { (void)read_msr(static_cast<Msr>(0x70000000u + number)); }

/// The rule that is never more than undecided, because processors differ; this one demands it.
constexpr std::size_t nmi_behind_sti = find_rule("I05b");

/// How a verdict and an outcome compare.
enum Agreement : char {
    agrees = '=',    // with the SDM
    undecided = '~', // the doctor could not say, and said so
    deviates = '!',  // as the table of deviations says
    disagrees = 'X', // nobody knows why
};

void run_case(unsigned base_index, const Mutation &first, const Mutation *second) {
    wanted = base;
    apply(first, wanted);
    if (second != nullptr) {
        apply(*second, wanted);
    }
    const Mutation *const msr = first.loads_msr                          ? &first
                                : second != nullptr && second->loads_msr ? second
                                                                         : nullptr;
    if (msr != nullptr) {
        set_msr_list(msr->msr_index, msr->msr_value);
    } else {
        set_msr_list(static_cast<std::uint32_t>(Msr::sysenter_cs), 0);
    }
    const Mutation *const table = first.has_pdpte                          ? &first
                                  : second != nullptr && second->has_pdpte ? second
                                                                           : nullptr;
    words_at(around.pae_root)[1] = table != nullptr ? table->pdpte : around.pdptes[1];

    const DeviationContext context{wanted, cpu};
    examine(wanted, cpu, situation, verdict);
    std::uint64_t used = 0;
    std::uint64_t kept[rule_limit / 64];
    const Prediction here = with_deviations(context, verdict, settings.model, used, kept);
    if (would_panic(context, here)) {
        ++skipped;
        return;
    }
    if (here.enters) {
        give_up("this case would run a guest", case_number);
    }
    if (verdict.undecided[nmi_behind_sti] != Undecided::no) {
        kept[nmi_behind_sti / 64] |= std::uint64_t{1} << (nmi_behind_sti % 64);
    }
    write_vmcs(wanted);
    mark_log(++case_number);
    const Outcome seen = attempt();
    Agreement verdict_holds = disagrees;
    if (fits(verdict.prediction, seen) && fits(here, seen)) {
        verdict_holds = agrees;
    } else if (fits(here, seen)) {
        verdict_holds = deviates;
    } else if (
        verdict.undecided[nmi_behind_sti] != Undecided::no &&
        fits(Prediction{.qualifications = 1}, seen)) {
        verdict_holds = undecided;
    }
    print("C ");
    print_hex(case_number);
    print(' ');
    print_hex(base_index);
    print(' ');
    print(verdict_holds);
    print(' ');
    print_outcome(seen);
    print(' ');
    print_prediction(verdict.prediction);
    print(' ');
    print_bits(verdict.broken);
    print(' ');
    print_bits(kept);
    print(' ');
    print_hex(used);
    if (verdict_holds == disagrees) {
        for (const Mutation *mutation : {&first, second}) {
            for (unsigned i = 0; mutation != nullptr && i < mutation->count; ++i) {
                print(i == 0 ? " | " : " ");
                print(find_field(mutation->changes[i].encoding)->identifier);
                print(mutation->changes[i].flip ? '^' : '=');
                print_hex(mutation->changes[i].value);
            }
            if (mutation != nullptr && mutation->loads_msr) {
                print(" msr=");
                print_hex(mutation->msr_index);
                print(':');
                print_hex(mutation->msr_value);
            }
        }
    }
    print('\n');
    if (seen.kind == Outcome::entered_guest || seen.kind == Outcome::other) {
        activate_vmcs(); // it is launched now, and its guest state has changed
    }
}

/// A known-good VMCS as it is: its guest runs one instruction.
void run_base(unsigned index) {
    activate_vmcs();
    wanted = base;
    wanted.set(Field32::entry_msr_load_count, std::uint32_t{0});
    examine(wanted, cpu, situation, verdict);
    write_vmcs(wanted);
    mark_log(++case_number);
    const Outcome seen = attempt();
    const bool good = verdict.sound() && verdict.prediction.certain &&
                      seen.kind == Outcome::entered_guest && seen.number == 18; // VMCALL
    print("C ");
    print_hex(case_number);
    print(' ');
    print_hex(index);
    print(good ? " = " : " X ");
    print_outcome(seen);
    print(' ');
    print_prediction(verdict.prediction);
    print(' ');
    print_bits(verdict.broken);
    print(" - 0 | known good\n");
    activate_vmcs();
}

void run_kind(unsigned index, GuestKind kind, bool ept) {
    if (!can_run(cpu, kind, ept)) {
        return;
    }
    make_known_good(base, cpu, kind, ept, around);
    print("B ");
    print_hex(index);
    print(' ');
    print(guest_kind_names[static_cast<unsigned>(kind)]);
    print(ept ? ", EPT\n" : ", no EPT\n");
    run_base(index);
    mutation_count = 0;
    const bool guest_only = kind != GuestKind::long_mode;
    each_mutation(cpu, base, around, guest_only, [](const Mutation &mutation, bool is_essential) {
        if (mutation_count < sizeof(mutations) / sizeof(mutations[0])) {
            essential[mutation_count] = is_essential;
            mutations[mutation_count++] = mutation;
        } else {
            give_up("too many mutations", mutation_count);
        }
    });
    print("S ");
    print_hex(mutation_count);
    print('\n');
    for (unsigned i = 0; i < mutation_count; ++i) {
        // Models and guests begin at different places, so that together they miss little.
        if (essential[i] || (i + index + settings.model) % settings.stride == 0) {
            run_case(index, mutations[i], nullptr);
        }
    }
    for (unsigned i = 0; i < settings.pairs; ++i) {
        const unsigned first = random_below(mutation_count);
        const unsigned second = random_below(mutation_count);
        run_case(index, mutations[first], &mutations[second]);
    }
}

void print_processor() {
    const VmxCapabilities &vmx = cpu.vmx;
    const auto both = [](Allowed allowed) {
        return (std::uint64_t{allowed.may_be_1} << 32) | allowed.must_be_1;
    };
    print_value("P IA32_VMX_BASIC", vmx.basic);
    print_value("P IA32_VMX_TRUE_PINBASED_CTLS", both(vmx.pin));
    print_value("P IA32_VMX_TRUE_PROCBASED_CTLS", both(vmx.primary));
    print_value("P IA32_VMX_PROCBASED_CTLS2", both(vmx.secondary));
    print_value("P IA32_VMX_TRUE_EXIT_CTLS", both(vmx.exit));
    print_value("P IA32_VMX_TRUE_ENTRY_CTLS", both(vmx.entry));
    print_value("P IA32_VMX_MISC", vmx.misc);
    print_value("P IA32_VMX_CR0_FIXED0", vmx.cr0_fixed0);
    print_value("P IA32_VMX_CR0_FIXED1", vmx.cr0_fixed1);
    print_value("P IA32_VMX_CR4_FIXED0", vmx.cr4_fixed0);
    print_value("P IA32_VMX_CR4_FIXED1", vmx.cr4_fixed1);
    print_value("P IA32_VMX_EPT_VPID_CAP", vmx.ept_vpid);
    print_value("P IA32_VMX_VMFUNC", vmx.vm_functions);
    print_value("P MAXPHYADDR", cpu.physical_address_width);
    print_value("P LINEAR_ADDRESS_WIDTH", cpu.linear_address_width);
    print_value("P IA32_EFER_BITS", cpu.efer_bits);
    print_value("P IA32_DEBUGCTL_BITS", cpu.debugctl_bits);
    print_value("P IA32_PERF_GLOBAL_CTRL_BITS", cpu.perf_global_ctrl_bits);
    print("P CPU_FEATURES =");
    for (unsigned i = 0; i < sizeof(cpu_feature_names) / sizeof(cpu_feature_names[0]); ++i) {
        if (((cpu.features >> i) & 1u) != 0) {
            print(' ');
            print(cpu_feature_names[i]);
        }
    }
    print('\n');
}

void print_tables() {
    for (const Rule &rule : all_rules) {
        print("R ");
        print(rule.id);
        print('\t');
        print(failure_name(rule.failure));
        print('\t');
        print(rule.must);
        print('\n');
    }
    const auto deviation = [](const char *kind, const char *rule, bool here, const char *what) {
        print("D ");
        print(kind);
        print('\t');
        print(rule);
        print(here ? "\t1\t" : "\t0\t");
        print(what);
        print('\n');
    };
    for (const Omission &one : omissions) {
        deviation("omits", one.rule, (one.models & settings.model) != 0, one.what);
    }
    for (const Addition &one : additions) {
        deviation("adds", one.rule, (one.models & settings.model) != 0, one.what);
    }
    deviation("qualifies", "I05", true, "the exit qualification stays 0 where the SDM has 3");
}

} // namespace

void unexpected_exception(unsigned vector, const std::uint64_t *frame) {
    print("FAILED exception ");
    print_hex(vector);
    for (unsigned i = 0; i < 5; ++i) {
        print(' ');
        print_hex(frame[i]);
    }
    print(" in case ");
    print_hex(case_number);
    print('\n');
    finish("END");
}

void differential() {
    static_assert(sizeof(Settings) == 24);
    const auto capabilities =
        read_capabilities([](Msr msr) { return std::optional{read_msr(msr)}; });
    cpu = describe_processor(*capabilities, [](std::uint32_t leaf, std::uint32_t subleaf) {
        return cpuid(leaf, subleaf);
    });
    write_cr0(read_cr0() | Cr0::wp | cpu.vmx.cr0_fixed0);
    write_cr4(read_cr4() | Cr4::vmxe | cpu.vmx.cr4_fixed0);
    const std::uint64_t vmxon_region = new_page();
    *words_at(vmxon_region) = cpu.vmx.revision();
    make_pages();
    check(vmxon(PhysicalAddress{vmxon_region}), "VMXON");
    situation.current_vmcs = around.current_vmcs;
    situation.memory = {read_memory, nullptr};
    random_state = settings.seed;
    print_processor();
    print_tables();
    activate_vmcs();
    probe_fields();
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        if (!supported[slot]) {
            print("U ");
            print(all_fields[slot].identifier);
            print('\n');
        }
    }
    unsigned index = 0;
    for (const GuestKind kind :
         {GuestKind::long_mode, GuestKind::pae, GuestKind::real_mode, GuestKind::virtual_8086}) {
        for (const bool ept : {false, true}) {
            run_kind(index, kind, ept);
            ++index;
        }
    }
    print("N ");
    print_hex(case_number);
    print(' ');
    print_hex(skipped);
    print('\n');
    finish("END");
}
