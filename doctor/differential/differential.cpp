// SPDX-License-Identifier: GPL-2.0-only
// long-file: a whole program that runs without an operating system.
// The differential test on bare metal: for each VMCS the doctor's verdict and what the processor
// does, one line each on the printer port, which run.py reads.
#include "bare_metal.hpp"
#include "cases.hpp"
#include "instruction_errors.hpp"
#include "tables.hpp"

#include "doctor/rules/entry_checks.hpp"
#include "vmx/instructions.hpp"
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

int strcmp(const char *left, const char *right) {
    while (*left != '\0' && *left == *right) {
        ++left, ++right;
    }
    return *left - *right;
}

extern "C" const volatile Settings settings = {
    {'V', 'T', 'X', 'D', 'I', 'F', 'F', '1'}, 0, 0, 0, 0, 1};

namespace {

Testbed test;
std::uint64_t vmxon_region;
bool supported[field_count];
std::uint32_t case_number;
std::uint32_t skipped[panic_count];
Mutation mutations[24000];
unsigned mutation_count;
std::uint64_t random_state;

std::uint32_t random_below(std::uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>((random_state >> 33) % limit);
}

void make_pages() {
    Surroundings &around = test.around;
    around.long_mode_root = 0x1000; // this program's own tables
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
}

void write_field(std::uint32_t encoding, std::uint64_t value) {
    const std::size_t slot = field_slot(encoding);
    if (supported[slot]) {
        check(vmwrite(encoding, value), all_fields[slot].identifier);
    }
}

/// Makes the VMCS clear, current, and what test.base is.
void activate_vmcs() {
    const std::uint64_t region = test.around.current_vmcs;
    check(vmclear(PhysicalAddress{region}), "VMCLEAR");
    *words_at(region) = test.cpu.vmx.revision();
    check(vmptrld(PhysicalAddress{region}), "VMPTRLD");
    write_all(test.base, write_field);
}

void probe_fields() {
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        std::uint64_t value = 0;
        supported[slot] = vmread(all_fields[slot].encoding, value).ok();
    }
}

/// A line in Bochs' own log, between which those of this case stand: it reports an RDMSR of a
/// register that does not exist, with its number.
void mark_log(std::uint32_t number) { (void)read_msr(static_cast<Msr>(0x70000000u + number)); }

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
    other = test.wanted;
    other.set(field, value);
    for (std::uint64_t &word : found.broken) {
        word = 0;
    }
    found.count = 0;
    Examination x{other, test.cpu, test.situation, found};
    x.begin(rule, all_rules[rule].failure, all_rules[rule].qualification);
    all_rules[rule].check(x);
    return found.is_broken(rule);
}

/// Notes which rules this case shows from which side.
void note_both_ways(const Mutation &first, const Mutation &second, const Outcome &seen) {
    bool broken[rule_count]{};
    for (std::uint32_t i = 0; i < test.verdict.count; ++i) {
        const Finding &finding = test.verdict.findings[i];
        if (finding.entry != test.around.msr_load_count) { // not the entry that ends every case
            broken[finding.rule] = true;
            BothWays &known = both_ways[finding.rule];
            known = {finding.field, finding.value, true, known.both};
        }
    }
    if (seen.kind != Outcome::exit34 || seen.number != test.around.msr_load_count) {
        return; // it did not get past all rules
    }
    for (std::size_t rule = 0; rule < rule_count; ++rule) {
        BothWays &known = both_ways[rule];
        if (known.both || !known.broken || broken[rule] ||
            !(changes(first, known.field) || changes(second, known.field))) {
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

/// A case, but for the end of its line.
void print_case(
    unsigned index, Agreement agreement, const Outcome &seen, const Foreseen &foreseen) {
    print("C ");
    print_hex(case_number);
    print(' ');
    print_hex(index);
    print(' ');
    print(agreement);
    print(' ');
    print(seen.kind);
    print_hex(seen.number);
    print(' ');
    print_prediction(foreseen.sdm);
    print(' ');
    print_bits(test.verdict.broken);
    print(' ');
    print_bits(foreseen.kept);
    print(' ');
    print_hex(foreseen.used);
}

/// Enters the VMCS with these changes, which it has neither before nor after.
Outcome attempt(const Mutation &first, const Mutation &second) {
    write_changes(first, test.wanted, write_field);
    write_changes(second, test.wanted, write_field);
    mark_log(++case_number);
    const int how = enter();
    const Outcome seen = outcome_of(how == 1, how == 2);
    write_changes(first, test.base, write_field);
    write_changes(second, test.base, write_field);
    return seen;
}

void run_case(unsigned index, const Mutation &first, const Mutation &second = {}) {
    make_wanted(test, first, second);
    Foreseen foreseen = foresee(test);
    if (foreseen.panic != panic_count) {
        ++skipped[foreseen.panic];
        return;
    }
    if (foreseen.here.enters) {
        give_up("this case would run a guest", case_number);
    }
    const Outcome seen = attempt(first, second);
    const Agreement agreement = judge(foreseen, seen);
    note_both_ways(first, second, seen);
    print_case(index, agreement, seen, foreseen);
    if (agreement == disagrees) {
        print(" |");
        for (const Mutation *mutation : {&first, &second}) {
            for (unsigned i = 0; i < mutation->count; ++i) {
                print(' ');
                print(find_field(mutation->changes[i].encoding)->identifier);
                print(mutation->changes[i].flip ? '^' : '=');
                print_hex(mutation->changes[i].value);
            }
            if (mutation->loads_msr) {
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
    const Mutation no_list = Mutation{}.set(Field32::entry_msr_load_count, 0);
    activate_vmcs();
    make_wanted(test, no_list);
    const Foreseen foreseen = foresee(test);
    const Outcome seen = attempt(no_list, {});
    const bool good = foreseen.sdm.enters && foreseen.sdm.certain &&
                      seen.kind == Outcome::entered_guest &&
                      seen.number == static_cast<unsigned>(ExitReason::vmcall);
    print_case(index, good ? agrees : disagrees, seen, foreseen);
    print(" | known good\n");
    if (index == 0) {
        provoke_errors(test.cpu.vmx, vmxon_region, test.around.current_vmcs);
    }
    activate_vmcs();
}

void run_kind(unsigned index) {
    print("B ");
    print_hex(index);
    print(' ');
    print(guest_kind_names[static_cast<unsigned>(test.kind)]);
    print(index % 2 != 0 ? ", EPT\n" : ", no EPT\n");
    run_base(index);
    mutation_count = 0;
    each_case(test, index, settings.stride, [index](const Mutation &mutation, bool is_chosen) {
        if (mutation_count == sizeof(mutations) / sizeof(mutations[0])) {
            give_up("too many mutations", mutation_count);
        }
        mutations[mutation_count++] = mutation;
        if (is_chosen) {
            run_case(index, mutation);
        }
    });
    print("S ");
    print_hex(mutation_count);
    print('\n');
    for (unsigned i = 0; i < settings.pairs; ++i) {
        const unsigned first = random_below(mutation_count);
        const unsigned second = random_below(mutation_count);
        run_case(index, mutations[first], mutations[second]);
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
    test.emulated = {settings.version, settings.model};
    test.around.current_vmcs = new_page();
    prepare(test, *capabilities, {read_memory, nullptr}, new_page, words_at);
    write_cr0(read_cr0() | Cr0::wp | test.cpu.vmx.cr0_fixed0);
    write_cr4(read_cr4() | Cr4::vmxe | test.cpu.vmx.cr4_fixed0);
    vmxon_region = new_page();
    *words_at(vmxon_region) = test.cpu.vmx.revision();
    make_pages();
    check(vmxon(PhysicalAddress{vmxon_region}), "VMXON");
    random_state = settings.seed;
    print_processor(test.cpu);
    print_tables(test.emulated);
    activate_vmcs();
    probe_fields();
    for (std::size_t slot = 0; slot < field_count; ++slot) {
        if (!supported[slot]) {
            print("U ");
            print(all_fields[slot].identifier);
            print('\n');
        }
    }
    for (unsigned index = 0; index < base_count; ++index) {
        if (make_base(test, index)) {
            run_kind(index);
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
