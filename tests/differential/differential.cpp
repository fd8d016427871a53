// SPDX-License-Identifier: GPL-2.0-only
// long-file: a whole program that runs without an operating system.
// The differential test on bare metal: for each VMCS the doctor's verdict and what the processor
// does, one line each on the printer port, which run.py reads.
#include "bare_metal.hpp"
#include "deviations.hpp"
#include "instruction_errors.hpp"
#include "mutations.hpp"
#include "tables.hpp"

#include "vmx/entry_checks/entry_checks.hpp"
#include "vmx/instructions.hpp"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

using namespace vtx;
using namespace vtx::testing;
using namespace vtx::entry_checks;

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

extern "C" const volatile Settings settings = {
    {'V', 'T', 'X', 'D', 'I', 'F', 'F', '1'}, 0, 0, 0, 0, 1};

namespace {

ProcessorDescription cpu;
EntrySituation situation;
Surroundings around;
VmcsSnapshot base, wanted, written;
std::uint64_t vmxon_region;
bool supported[field_count];
Verdict verdict;
std::uint32_t case_number;
std::uint32_t skipped[panic_count];
Mutation mutations[24000];
bool essential[24000];
unsigned mutation_count;
std::uint64_t random_state;

Emulated emulated() { return {settings.version, settings.model}; }

std::uint32_t random_below(std::uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>((random_state >> 33) % limit);
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

/// What is known of a rule so far: a value of a field that broke it, and whether another value of
/// that field was seen to get past it where that one would have broken it.
struct BothWays {
    std::uint32_t field;
    std::uint64_t bad_value;
    bool broken, both;
} both_ways[rule_count];

bool changes(const Mutation &mutation, std::uint32_t encoding) {
    for (unsigned i = 0; i < mutation.count; ++i) {
        if (mutation.changes[i].encoding == encoding) {
            return true;
        }
    }
    // Of rules about memory, the field is the pointer to it.
    return (mutation.loads_msr && encoding == field_encoding(Field64::entry_msr_load_address)) ||
           (mutation.has_pdpte && encoding == field_encoding(FieldNatural::guest_cr3));
}

/// True if the rule would be broken by this value of the field, all else being as it is.
bool would_break(std::size_t rule, std::uint32_t field, std::uint64_t value) {
    static VmcsSnapshot other;
    static Verdict found;
    other = wanted;
    other.set(field, value);
    for (std::uint64_t &word : found.broken) {
        word = 0;
    }
    found.count = 0;
    Examination x{other, cpu, situation, found};
    x.begin(rule, all_rules[rule].failure, all_rules[rule].qualification);
    all_rules[rule].check(x);
    return found.is_broken(rule);
}

/// Notes which rules this case shows from which side.
void note_both_ways(const Mutation &first, const Mutation *second, const Outcome &seen) {
    bool broken[rule_count]{};
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        if (finding.entry != around.msr_load_count) { // not the entry that ends every case
            broken[finding.rule] = true;
            BothWays &known = both_ways[finding.rule];
            known = {finding.field, finding.value, true, known.both};
        }
    }
    if (seen.kind != Outcome::exit34 || seen.number != around.msr_load_count) {
        return; // it did not get past all rules
    }
    for (std::size_t rule = 0; rule < rule_count; ++rule) {
        BothWays &known = both_ways[rule];
        if (known.both || !known.broken || broken[rule] ||
            !(changes(first, known.field) ||
              (second != nullptr && changes(*second, known.field)))) {
            continue;
        }
        const bool about_memory = all_rules[rule].failure == FailureClass::msr_loading ||
                                  is_rule(all_rules[rule].id, "T01");
        known.both = about_memory || would_break(rule, known.field, known.bad_value);
    }
}

void print_both_ways() {
    bool first = true;
    for (std::size_t rule = 0; rule < rule_count; ++rule) {
        if (both_ways[rule].both) {
            print(first ? "" : ",");
            print(all_rules[rule].id);
            first = false;
        }
    }
}

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
    const Prediction here = with_deviations(context, verdict, emulated(), used, kept);
    const unsigned panic = panic_of(context, verdict, here);
    if (panic != panic_count) {
        ++skipped[panic];
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
        used |= std::uint64_t{1} << i05_qualification;
    }
    note_both_ways(first, second, seen);
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
                print(mutation->count == 0 ? " | msr=" : " msr=");
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
    if (index == 0) {
        provoke_errors(cpu.vmx, vmxon_region, around.current_vmcs);
    }
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
    static_assert(sizeof(Settings) == 28);
    const auto capabilities =
        read_capabilities([](Msr msr) { return std::optional{read_msr(msr)}; });
    cpu = describe_processor(*capabilities, [](std::uint32_t leaf, std::uint32_t subleaf) {
        return cpuid(leaf, subleaf);
    });
    write_cr0(read_cr0() | Cr0::wp | cpu.vmx.cr0_fixed0);
    write_cr4(read_cr4() | Cr4::vmxe | cpu.vmx.cr4_fixed0);
    vmxon_region = new_page();
    *words_at(vmxon_region) = cpu.vmx.revision();
    make_pages();
    check(vmxon(PhysicalAddress{vmxon_region}), "VMXON");
    situation.current_vmcs = around.current_vmcs;
    situation.memory = {read_memory, nullptr};
    random_state = settings.seed;
    print_processor(cpu);
    print_tables(emulated());
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
    for (unsigned i = 0; i < panic_count; ++i) {
        print("K ");
        print(panics[i].rule);
        print('\t');
        print_hex(skipped[i]);
        print('\t');
        print(panics[i].what);
        print('\n');
    }
    print("H ");
    print_both_ways();
    print_value("\nN", case_number);
    finish("END");
}
