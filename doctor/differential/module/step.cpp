// SPDX-License-Identifier: GPL-2.0-only
// The differential test as a kernel module: fewer cases than on bare metal, but compiled by the
// kernel's build, and run where the steps run. Host state is left as it is: Linux needs it.
#include "cases.hpp"

#include "doctor/rules/log.hpp"
#include "page.hpp"
#include "scope.hpp"
#include "vm_entry.hpp"
#include "vmx/log_failure.hpp"

using namespace vtx;
using namespace vtx::testing;
using namespace vtx::entry_checks;

extern "C" int differential_run(unsigned int version, unsigned int model, unsigned int stride);

namespace {

/// Cases that share a scope: few, for interrupts are off meanwhile.
constexpr unsigned batch = 16;

struct PendingCase {
    Mutation mutation;
    Foreseen foreseen;
    Outcome seen;
};

struct Test : Testbed {
    Vcpu vcpu;
    Page pages[9];
    unsigned pages_used = 0;
    PendingCase cases[batch];
    unsigned pending = 0;
    unsigned run = 0, skipped = 0;
    unsigned counts[128]{}; ///< by Agreement
    int error = 0;
};

/// The test's own pages are the memory that the rules may look into. Null for any other address.
std::uint64_t *words_at(const Test &test, std::uint64_t address) {
    for (const Page &page : test.pages) {
        if ((address & ~(page_size - 1)) == page.physical().value) {
            return page.entries() + (address & (page_size - 1)) / 8;
        }
    }
    return nullptr;
}

bool read_memory(const void *context, std::uint64_t address, std::uint64_t &value) {
    const std::uint64_t *const words = words_at(*static_cast<const Test *>(context), address);
    value = words != nullptr ? *words : 0;
    return words != nullptr;
}

bool is_host(std::uint32_t encoding) { return field_kind(encoding) == FieldKind::host_state; }

/// MSRs that a failed VM entry may have loaded, and that no VM exit gives back.
class MsrRepair {
public:
    MsrRepair() {
        for (unsigned i = 0; i < count; ++i) {
            values_[i] = read_msr(msrs[i]);
        }
    }
    ~MsrRepair() {
        for (unsigned i = 0; i < count; ++i) {
            write_msr(msrs[i], values_[i]);
        }
    }
    MsrRepair(const MsrRepair &) = delete;
    MsrRepair &operator=(const MsrRepair &) = delete;

private:
    static constexpr Msr msrs[] = {Msr::pat,   Msr::efer,  Msr::star,
                                   Msr::lstar, Msr::cstar, Msr::fmask};
    static constexpr unsigned count = sizeof(msrs) / sizeof(msrs[0]);
    std::uint64_t values_[count];
};

/// The host fields that step 04 leaves alone because its controls do not load them: here a mutation
/// may switch that on.
void write_more_host_state(CurrentVmcs &vmcs) {
    vmcs.write(Field64::host_efer, read_msr(Msr::efer));
    vmcs.write(Field64::host_pat, read_msr(Msr::pat));
}

/// Enters the guest of the VMCS that is current.
Outcome attempt(Test &test) {
    const int result = vm_enter(&test.vcpu.registers, false);
    return outcome_of(result == VM_ENTER_FAIL_INVALID, result == VM_ENTER_FAIL_VALID);
}

/// In the scope: writes the known-good VMCS, then breaks, enters and repairs it for each case.
void enter_all(Test &test, CurrentVmcs &vmcs) {
    const auto write = [](std::uint32_t encoding, std::uint64_t value) {
        if (!is_host(encoding)) {
            static_cast<void>(vmwrite(encoding, value)); // this processor may not have the field
        }
    };
    const MsrRepair repair;
    write_more_host_state(vmcs);
    write_all(test.base, write);
    for (unsigned i = 0; i < test.pending; ++i) {
        PendingCase &one = test.cases[i];
        make_wanted(test, one.mutation);
        write_changes(one.mutation, test.wanted, write);
        one.seen = attempt(test);
        write_changes(one.mutation, test.base, write);
    }
}

void report(Test &test, PendingCase &one) {
    Agreement agreement = judge(one.foreseen, one.seen);
    if (agreement == disagrees && !one.foreseen.sdm.certain) {
        agreement = undecided; // it depends on memory of Linux's
    }
    test.run++;
    if (test.counts[static_cast<unsigned>(agreement)]++ < 20 && agreement == disagrees) {
        vtx_log_error(
            "unexplained: %s %#llx, outcome %c %#llx",
            one.mutation.count != 0 ? field_name(one.mutation.changes[0].encoding) : "MSR",
            static_cast<unsigned long long>(one.mutation.changes[0].value), one.seen.kind,
            static_cast<unsigned long long>(one.seen.number));
    }
}

void flush(Test &test) {
    if (test.pending == 0 || test.error != 0) {
        return;
    }
    const Failure failure =
        in_scope(test.vcpu, [&](const Scope &scope) { enter_all(test, scope.vmcs); });
    if (failure) {
        log_failure(failure);
        test.error = failure.error();
        return;
    }
    for (unsigned i = 0; i < test.pending; ++i) {
        report(test, test.cases[i]);
    }
    test.pending = 0;
    vtx_give_way();
}

void add(Test &test, const Mutation &mutation) {
    for (unsigned i = 0; i < mutation.count; ++i) {
        if (is_host(mutation.changes[i].encoding)) {
            return;
        }
    }
    make_wanted(test, mutation);
    const Foreseen foreseen = foresee(test);
    if (foreseen.panic != panic_count || foreseen.here.enters) {
        test.skipped++;
        return;
    }
    test.cases[test.pending++] = PendingCase{mutation, foreseen, {}};
    if (test.pending == batch) {
        flush(test);
    }
}

/// Gives the host fields of the examined VMCS the values that the scope writes.
void copy_host_state(Test &test) {
    const Failure failure = in_scope(test.vcpu, [&](const Scope &scope) {
        write_more_host_state(scope.vmcs);
        for (const FieldInfo &field : all_fields) {
            std::uint64_t value = 0;
            if (is_host(field.encoding) && vmread(field.encoding, value).ok()) {
                test.base.set(field.encoding, value);
            }
        }
    });
    log_failure(failure);
    test.error = failure.error();
}

int run(Test &test, unsigned stride) {
    if (const int error = test.vcpu.prepare()) {
        return error;
    }
    for (Page &page : test.pages) {
        if (!page.allocate()) {
            return -VTX_ENOMEM;
        }
    }
    const auto new_page = [&] { return test.pages[test.pages_used++].physical().value; };
    Surroundings &around = test.around;
    around.current_vmcs = test.vcpu.vmcs.physical().value;
    around.ept_root = around.long_mode_root = around.flat_root = new_page(); // it stays empty
    prepare(test, test.vcpu.vmx, {read_memory, &test}, new_page, [&](std::uint64_t address) {
        return words_at(test, address);
    });
    for (unsigned index = 0; index < base_count && test.error == 0; ++index) {
        if (!make_base(test, index)) {
            continue;
        }
        // Where a mutation takes "load IA32_EFER" from the VM exit, the guest's stays: with it,
        // Linux must still have its no-execute bit.
        test.base.set(
            Field64::guest_efer,
            test.base.get(Field64::guest_efer) | (read_msr(Msr::efer) & (Efer::nxe | Efer::sce)));
        copy_host_state(test);
        each_case(test, index, stride, [&](const Mutation &mutation, bool is_chosen) {
            if (is_chosen && test.error == 0) {
                add(test, mutation);
            }
        });
        flush(test);
    }
    vtx_log(
        "%u VMCSs: %u agree, %u deviate as listed, %u undecided, %u skipped, %u unexplained",
        test.run, test.counts[agrees], test.counts[deviates], test.counts[undecided], test.skipped,
        test.counts[disagrees]);
    return test.error != 0 ? test.error : test.counts[disagrees] != 0 ? -VTX_EIO : 0;
}

} // namespace

int differential_run(unsigned int version, unsigned int model, unsigned int stride) {
    Box<Test> test;
    if (!test.allocate()) {
        return -VTX_ENOMEM;
    }
    test->emulated = {version, model};
    return run(*test, stride);
}
