// SPDX-License-Identifier: GPL-2.0-only
// long-file: the same program as a kernel module.
// The differential test as a kernel module: fewer cases than on bare metal, but compiled by the
// kernel's build, and run where the steps run. Host state is left as it is: Linux needs it.
#include "deviations.hpp"
#include "mutations.hpp"

#include "page.hpp"
#include "scope.hpp"
#include "vm_entry.hpp"
#include "vmx/entry_checks/log.hpp"
#include "vmx/log_failure.hpp"
#include "x86/cpuid.hpp"

using namespace vtx;
using namespace vtx::testing;
using namespace vtx::entry_checks;

extern "C" int differential_run(unsigned int version, unsigned int model, unsigned int stride);

namespace {

/// Cases that share a scope: few, for interrupts are off meanwhile.
constexpr unsigned batch = 16;

struct PendingCase {
    Mutation mutation;
    Prediction sdm, here;
    bool certain;
    int outcome; ///< Of vm_enter().
    std::uint32_t reason;
    std::uint64_t qualification, error;
};

struct Pages {
    Page page, second, good, shadow, bad, harmless, list, pae, empty;
};

struct Test {
    Vcpu vcpu;
    Pages pages;
    ProcessorDescription cpu;
    EntrySituation situation;
    Surroundings around;
    VmcsSnapshot base, wanted;
    Verdict verdict;
    PendingCase cases[batch];
    unsigned pending = 0;
    Emulated emulated{};
    unsigned run = 0, agreed = 0, deviated = 0, undecided = 0, skipped = 0, unexplained = 0;
    int error = 0;
};

std::uint64_t *words(Page &page) { return reinterpret_cast<std::uint64_t *>(page.bytes()); }

/// The test's own pages are the memory that the rules may look into.
bool read_memory(const void *context, std::uint64_t address, std::uint64_t &value) {
    auto &test = *static_cast<Test *>(const_cast<void *>(context));
    Pages &p = test.pages;
    for (Page *page :
         {&p.page, &p.second, &p.good, &p.shadow, &p.bad, &p.harmless, &p.list, &p.pae, &p.empty}) {
        if ((address & ~(page_size - 1)) == page->physical().value) {
            value = words(*page)[(address & (page_size - 1)) / 8];
            return true;
        }
    }
    return false;
}

void set_memory(Test &test, const Mutation &mutation) {
    std::uint64_t *const list = words(test.pages.list);
    list[0] =
        mutation.loads_msr ? mutation.msr_index : static_cast<std::uint32_t>(Msr::sysenter_cs);
    list[1] = mutation.loads_msr ? mutation.msr_value : 0;
    list[2] = static_cast<std::uint32_t>(Msr::fs_base);
    words(test.pages.pae)[1] = mutation.has_pdpte ? mutation.pdpte : 0;
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

/// In the scope: writes the known-good VMCS, then breaks, enters and repairs it for each case.
void enter_all(Test &test, CurrentVmcs &vmcs) {
    const auto write = [](std::uint32_t encoding, std::uint64_t value) {
        static_cast<void>(vmwrite(encoding, value)); // some fields this processor does not have
    };
    const MsrRepair repair;
    write_more_host_state(vmcs);
    test.base.for_each([&](const FieldInfo &field, std::uint64_t value) {
        if (field.kind != FieldKind::host_state && field.kind != FieldKind::read_only) {
            write(field.encoding, value);
        }
    });
    for (unsigned i = 0; i < test.pending; ++i) {
        PendingCase &one = test.cases[i];
        set_memory(test, one.mutation);
        for (unsigned n = 0; n < one.mutation.count; ++n) {
            const Change &change = one.mutation.changes[n];
            std::uint64_t before = 0;
            static_cast<void>(vmread(change.encoding, before));
            write(change.encoding, change.flip ? before ^ change.value : change.value);
        }
        one.outcome = vm_enter(&test.vcpu.registers, false);
        one.reason = vmcs.read(Field32::exit_reason);
        one.qualification = vmcs.read(FieldNatural::exit_qualification);
        one.error = vmcs.read(Field32::vm_instruction_error);
        for (unsigned n = 0; n < one.mutation.count; ++n) {
            const std::uint32_t encoding = one.mutation.changes[n].encoding;
            write(encoding, test.base.find(encoding).value_or(0));
        }
    }
}

bool fits(const Prediction &ends, const PendingCase &one) {
    if (one.outcome == VM_ENTER_FAIL_VALID) {
        return (one.error == 7 && ends.error_7) || (one.error == 8 && ends.error_8);
    }
    if (one.outcome != VM_ENTER_EXITED) {
        return false;
    }
    if (one.reason == 0x80000021) {
        return one.qualification < 8 && ((ends.qualifications >> one.qualification) & 1u) != 0;
    }
    return one.reason == 0x80000022 && ends.msr_entry != 0 && ends.msr_entry == one.qualification;
}

void judge(Test &test, const PendingCase &one) {
    test.run++;
    if (fits(one.here, one)) {
        (fits(one.sdm, one) ? test.agreed : test.deviated)++;
    } else if (!one.certain) {
        test.undecided++;
    } else if (test.unexplained++ < 20) {
        vtx_log_error(
            "unexplained: %s %#llx, outcome %d, reason %#x, qualification %#llx, error "
            "%llu",
            one.mutation.count != 0 ? field_name(one.mutation.changes[0].encoding) : "MSR",
            static_cast<unsigned long long>(one.mutation.changes[0].value), one.outcome, one.reason,
            static_cast<unsigned long long>(one.qualification),
            static_cast<unsigned long long>(one.error));
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
        judge(test, test.cases[i]);
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
    test.wanted = test.base;
    apply(mutation, test.wanted);
    set_memory(test, mutation);
    examine(test.wanted, test.cpu, test.situation, test.verdict);
    const DeviationContext context{test.wanted, test.cpu};
    std::uint64_t used = 0;
    std::uint64_t kept[rule_limit / 64];
    const Prediction here = with_deviations(context, test.verdict, test.emulated, used, kept);
    if (panic_of(context, test.verdict, here) != panic_count || here.enters) {
        test.skipped++;
        return;
    }
    test.cases[test.pending++] = PendingCase{
        mutation, test.verdict.prediction, here, test.verdict.prediction.certain, 0, 0, 0, 0};
    if (test.pending == batch) {
        flush(test);
    }
}

bool allocate(Pages &p) {
    for (Page *page :
         {&p.page, &p.second, &p.good, &p.shadow, &p.bad, &p.harmless, &p.list, &p.pae, &p.empty}) {
        if (!page->allocate()) {
            return false;
        }
    }
    return true;
}

void surround(Test &test) {
    Pages &p = test.pages;
    Surroundings &around = test.around;
    around.page = p.page.physical().value;
    around.second_page = p.second.physical().value;
    around.link_good = p.good.physical().value;
    around.link_shadow = p.shadow.physical().value;
    around.link_bad = p.bad.physical().value;
    around.harmless_msrs = p.harmless.physical().value;
    around.msr_load_list = p.list.physical().value;
    around.msr_load_count = 2;
    around.pae_root = p.pae.physical().value;
    around.ept_root = around.long_mode_root = around.flat_root = p.empty.physical().value;
    around.current_vmcs = test.vcpu.vmcs.physical().value;
    words(p.good)[0] = test.cpu.vmx.revision();
    words(p.shadow)[0] = test.cpu.vmx.revision() | 0x80000000u;
    words(p.bad)[0] = test.cpu.vmx.revision() ^ 1u;
    for (unsigned i = 0; i < 256; ++i) {
        words(p.harmless)[2 * i] = static_cast<std::uint32_t>(Msr::sysenter_cs);
    }
    test.situation.current_vmcs = around.current_vmcs;
    test.situation.memory = {read_memory, &test};
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
    if (!allocate(test.pages)) {
        return -VTX_ENOMEM;
    }
    test.cpu = describe_processor(test.vcpu.vmx, [](std::uint32_t leaf, std::uint32_t subleaf) {
        return cpuid(leaf, subleaf);
    });
    surround(test);
    unsigned index = 0;
    for (const GuestKind kind :
         {GuestKind::long_mode, GuestKind::pae, GuestKind::real_mode, GuestKind::virtual_8086}) {
        const bool ept = test.cpu.vmx.supports(SecondaryControl::enable_ept);
        ++index;
        if (!can_run(test.cpu, kind, ept)) {
            continue;
        }
        make_known_good(test.base, test.cpu, kind, ept, test.around);
        // Where a mutation takes "load IA32_EFER" from the VM exit, the guest's stays: with it,
        // Linux must still have its no-execute bit.
        test.base.set(
            Field64::guest_efer,
            test.base.get(Field64::guest_efer) | (read_msr(Msr::efer) & (Efer::nxe | Efer::sce)));
        copy_host_state(test);
        unsigned number = 0;
        each_mutation(
            test.cpu, test.base, test.around, kind != GuestKind::long_mode,
            [&](const Mutation &mutation, bool essential) {
                if (essential || (number++ + index) % stride == 0) {
                    add(test, mutation);
                }
            });
        flush(test);
    }
    vtx_log(
        "%u VMCSs: %u agree, %u deviate as listed, %u undecided, %u skipped, %u unexplained",
        test.run, test.agreed, test.deviated, test.undecided, test.skipped, test.unexplained);
    return test.error != 0 ? test.error : test.unexplained != 0 ? -VTX_EIO : 0;
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
