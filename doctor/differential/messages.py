# SPDX-License-Identifier: GPL-2.0-only
"""Which rule a line of Bochs's log is about: a few telling words of each line, as patterns."""
from __future__ import annotations

import re

_TABLE: list[tuple[str, str]] = [
    # VM-execution controls
    (r"pin-based controls allowed", "C01"),
    (r"VMX secondary .*controls allowed", "C03"),
    (r"proc-based controls allowed", "C02"),
    (r"tertiary controls allowed", "C04"),
    (r"CR3 targets", "C05"),
    (r"I/O bitmap", "C06"),
    (r"MSR bitmap", "C07"),
    (r"virtual apic phy", "C08"),
    (r"TPR threshold too big", "C09"),
    (r"TPR threshold >", "C10"),
    (r"virtual NMI control", "C11 C12"),
    (r"apic access page", "C13"),
    (r"without TPR shadow", "C14"),
    (r"together with APIC access", "C15"),
    (r"together with external", "C16"),
    (r"[Pp]osted [Ii]nterrupt", "C17"),
    (r"VPID == 0", "C18"),
    (r"EPTPTR", "C19 C20 C21 C22 C23"),
    (r"PML", "C24"),
    (r"unrestricted guest without EPT", "C25"),
    (r"MBE is enabled without EPT", "C26"),
    (r"SPP", "C27"),
    (r"VM Functions", "C28"),
    (r"EPTP-SWITCHING", "C29"),
    (r"VM(READ|WRITE) bitmap", "C30"),
    (r"#VE information", "C31"),
    (r"TSC multiplier", "C33"),
    # VM-exit and VM-entry controls
    (r"vmexit controls allowed", "X01"),
    (r"vmexit secondary controls allowed", "X02"),
    (r"save_VMX_preemption", "X03"),
    (r"VMEXIT CTRL: msr store", "X04"),
    (r"VMEXIT CTRL: msr load", "X05"),
    (r"vmentry controls allowed", "N01"),
    (r"bad injected event type", "N02"),
    (r"bad injected event vector|bad MTF injection", "N03"),
    (r"broken error code", "N04"),
    (r"broken interruption info", "N05"),
    (r"bad error code", "N06"),
    (r"event instr length", "N07"),
    (r"VMENTRY CTRL: msr load", "N08"),
    (r"dual-monitor", "N10"),
    # Host state
    (r"host state invalid CR0", "H01"),
    (r"host state invalid CR4", "H02"),
    (r"host state invalid CR3", "H03"),
    (r"host CR4.CET", "H04"),
    (r"host SYSENTER", "H05"),
    (r"in host MSR_PAT", "H07"),
    (r"host EFER", "H08"),
    (r"host (IA32_S_CET|SSP|INTERRUPT_SSP)", "H09"),
    (r"host IA32_PKRS", "H10"),
    (r"host IA32_SPEC_CTRL", "H19"),
    (r"host segreg", "H11"),
    (r"host CS selector", "H12"),
    (r"host TR selector", "H11 H12"),
    (r"host SS selector", "H13"),
    (r"host (TR|FS|GS|GDTR|IDTR) BASE", "H14"),
    (r"x86-64 .*(control|controls) invalid", "H15"),
    (r"host RIP > 32|host CR4.PCIDE", "H16"),
    (r"host CR4.PAE|host RIP non", "H17"),
    # Guest registers
    # Bochs's mask of PG is negative, so bits 63:32 of CR0 count as PG here.
    (r"CR0.PG without", "G02 G01"),
    (r"guest invalid CR0", "G01"),
    (r"guest invalid CR4", "G03"),
    (r"guest CR4.CET", "G04"),
    (r"guest CR4.PAE", "G07"),
    (r"CR4.PCIDE set in 32", "G08"),
    (r"guest invalid CR3", "G09"),
    (r"invalid DR7", "G10"),
    (r"guest SYSENTER", "G11"),
    (r"in guest MSR_PAT", "G13"),
    (r"guest EFER", "G14"),
    (r"guest (IA32_S_CET|INTERRUPT_SSP)", "G17"),
    (r"guest SSP", "R06"),
    (r"guest IA32_PKRS", "G16"),
    # Guest segments
    (r"IDTR.BASE non", "D01"),
    (r"LDTR.TI", "S02"),
    (r"TR.TI", "S01"),
    (r"CS.RPL != SS.RPL", "S03"),
    (r"v8086 guest bad .*BASE", "S04"),
    (r"(TR|FS|GS).BASE non", "S05"),
    (r"BASE > 32", "S06"),
    (r"v8086 guest .*LIMIT", "S07"),
    (r"v8086 guest .*AR", "S08"),
    (r"guest CS.TYPE", "S09"),
    (r"guest SS.TYPE", "S10"),
    (r"not ACCESSED|not READABLE", "S11"),
    (r"CS.(RPL|DPL)", "S13 S03 S14"),
    (r"SS.RPL <> SS.DPL|SS.DPL != 0", "S14"),
    (r"non-conforming [DEFG]S", "S15"),
    (r"(LDTR type|LDTR is not|LDTR not present|LDTR.AR)", "S21"),
    (r"(TR type|TR invalid|TR is not|TR not present|TR.AR)", "S20"),
    (r"[CDEFGS]S not segment", "S12"),
    (r"[CDEFGS]S not present", "S16"),
    (r"[CDEFGS]S.AR/LIMIT", "S17 S19"),
    (r"wrong CS.D_B", "S18"),
    # Guest descriptor tables, RIP, RFLAGS
    (r"GDTR/IDTR limit", "D02"),
    (r"guest RIP > 32", "R01"),
    (r"RFLAGS reserved|RFLAGS\[1\]", "R03"),
    (r"guest with RFLAGS.VM", "R04"),
    # Guest non-register state
    (r"guest activity state", "A01"),
    (r"HLT state with SS", "A02"),
    (r"when entering non active", "A03"),
    (r"shutdown state", "A05"),
    (r"entering Wait-For-Sipi", "A06"),
    (r"wait-for-SIPI state if", "A07"),
    (r"interruptibility state broken", "I01 I02"),
    (r"blocked by STI when", "I03"),
    (r"injecting external", "I04 R05"),
    (r"injecting NMI", "I05"),
    (r"SMI blocked when|should block SMI", "I06"),
    (r"tmpDR6", "P01 P03"),
    (r"link pointer malformed", "L01"),
    (r"link pointer (must|incorrect)", "L02"),
    (r"link pointer equal", "L03"),
    (r"PDPTRs Checks", "T01"),
    # The MSR-load list
    (r"LoadMSRs \d+: broken msr", "M05"),
    (r"LoadMSRs \d+: unable to restore FSBASE", "M01"),
    (r"LoadMSRs \d+: unable to restore X2APIC", "M02"),
    (r"LoadMSRs \d+: unable to set", "M06"),
]

#: Pattern, and the rules that it can mean (without the letter that splits a rule).
PATTERNS = [(re.compile(pattern), frozenset(rules.split())) for pattern, rules in _TABLE]

#: Lines that come from elsewhere, before the one that tells: a WRMSR that is refused, for instance.
NOISE = re.compile(r"^(VMEXIT: |set_segment_ar|check_|WRMSR|wrmsr|RDMSR|VMX_|CheckPDPTR|is_eptptr|"
                   r"SetCR|MSR_|PDPTR|lapic|VMCS)|PDPE|PDPTE|non-canonical value|[Ee]xception\(")


def matching_rules(text: str) -> frozenset[str] | None:
    """The rules that a line can be about, or None if no pattern knows it."""
    for pattern, rules in PATTERNS:
        if pattern.search(text):
            return rules
    return None
