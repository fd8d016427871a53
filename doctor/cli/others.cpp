// SPDX-License-Identifier: GPL-2.0-only
// Dumps that are not KVM's of a VMCS, and what to do with them.
#include "dump.hpp"

namespace doctor {

namespace {

struct Sign {
    const char *text; ///< is in a line of such a dump
    const char *also; ///< and this, or nothing
};

struct Other {
    Looks looks;
    const char *message;
    Sign signs[14];
};

#define DOCTOR_WRITE "; to have it checked, write its fields as lines like GUEST_CR0 = 0x80050033"

constexpr Other others[] = {
    {Looks::like_kvm,
     "Xen printed this VMCS, in a format of its own" DOCTOR_WRITE,
     {{"(XEN)", "State ***"},
      {"(XEN)", "VMCS"},
      {"(XEN)", "vmentry failure"},
      {"(XEN)", "Failed vm entry"},
      {"(XEN)", "CR0: actual="},
      {"VMCS Area", "****"},
      {"PDPTE0 = 0x", "PDPTE1 = "},
      {"EPT pointer = ", "EPTP index = "},
      {"EFER(VMCS) = ", "PAT = "},
      {"EFER(MSR LL) = ", "PAT = "},
      {"PreemptionTimer = ", "SM Base = "}}},
    {Looks::like_a_list,
     "this is a VMCB, the structure of AMD's SVM, and not a VMCS: the rules of VM entry do not "
     "apply "
     "to it (see \"Canonicalization and Consistency Checks\" of VMRUN in AMD's manual, volume 2)",
     {{"VMCB Control Area", ""},
      {"VMCB State Save Area", ""},
      {"last attempted VMRUN", ""},
      {"FAILED VMRUN WITH VMCB", ""},
      {"VMCB Areas", ""},
      {"general1_intercepts", ""},
      {"dump_invalid_vmcb", ""},
      {" s: ", " a: "},
      {"exit_int_info:", ""},
      {"avic_backing_page:", ""}}},
    {Looks::like_a_list,
     "HyperKit or xhyve printed this VMCS, with some fields in the place of others (LDTR's for "
     "IDTR) "
     "and without VM-exit controls and host state" DOCTOR_WRITE,
     {{"VMCS_PIN_BASED_CTLS:", ""}, {"VMCS_PRI_PROC_BASED_CTLS:", ""}}},
    {Looks::like_neither,
     "VirtualBox printed this, and no VMCS: its log has capabilities of the processor and, of a "
     "failure, one number" DOCTOR_WRITE,
     {{"HM: CPU[", ""},
      {"HM: MSR_IA32_VMX_", ""},
      {"VERR_VMX_", ""},
      {"HWACCM", "VMX"},
      {"VT-x info:", ""},
      {"Guru Meditation", ""}}},
    {Looks::like_neither,
     "this is a report of a VM exit by bhyve, xhyve or HyperKit, and no VMCS" DOCTOR_WRITE,
     {{"vm exit[", ""}, {"vm exit rdmsr", ""}}},
    {Looks::like_neither,
     "Jailhouse printed this, and no VMCS" DOCTOR_WRITE,
     {{"FATAL: VM-Entry failure", ""}, {"FATAL: Unhandled VM-Exit", ""}}},
    {Looks::like_neither,
     "KVM did not print the VMCS here, it only says how to make it do so: echo 1 | sudo tee "
     "/sys/module/kvm_intel/parameters/dump_invalid_vmcs, let the entry fail again, read the log "
     "again",
     {{"set kvm_intel.dump_invalid_vmcs=1", ""}}},
    {Looks::like_neither,
     "this is QEMU's view of the registers, and no VMCS: that is in the kernel's log of the host "
     "(dmesg), if kvm_intel was loaded with dump_invalid_vmcs=1",
     {{"KVM: entry failed, hardware error", ""},
      {"KVM internal error", ""},
      {"EAX=", "EBX="},
      {"RAX=", "RBX="}}},
};

#undef DOCTOR_WRITE

bool shows(std::string_view line, const Sign &sign) {
    return line.find(sign.text) != std::string_view::npos &&
           line.find(sign.also) != std::string_view::npos;
}

} // namespace

std::optional<InputError> other_dump(const std::vector<TextLine> &lines, Looks looks) {
    for (const Other &other : others) {
        if (other.looks != looks) {
            continue;
        }
        for (const TextLine &line : lines) {
            for (const Sign &sign : other.signs) {
                if (sign.text != nullptr && shows(line.text, sign)) {
                    return InputError{line.number, other.message};
                }
            }
        }
    }
    return std::nullopt;
}

} // namespace doctor
