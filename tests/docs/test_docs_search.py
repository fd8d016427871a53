# SPDX-License-Identifier: GPL-2.0-only
"""The book's search, in Node.js without a browser: the page that a reader wants comes first.

What the browser does with it (the field, the links, an index read from a disk) is in
test_docs_browser.py.
"""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

#: What is typed, and how the address of the first result may begin. A chapter goes by its number.
WANTED = {
    "insmod": "steps/00-",
    "Makefile": "steps/00-",
    "C++": "steps/00-",
    "CPUID": "steps/01-",
    "capability MSR": "steps/01-",
    "VMXON": "steps/02-",
    "vmxon fails": "steps/02-",
    "CR4.VMXE": "steps/02-",
    "VMCS": "steps/03-",
    "what is a VMCS?": "steps/03-",
    "how do I read a VMCS field": "steps/03-",
    "How can I write a VMCS field?": "steps/03-",
    "VMREAD": "steps/03-",
    "VMWRITE": "steps/03-",
    "VMPTRLD": "steps/03-",
    "VMCLEAR": "steps/03-",
    "VMLAUNCH": "steps/04-",
    "launch": "steps/04-",
    "invalid guest state": ("steps/04-", "concepts/vm-entry"),
    "exit": ("steps/05-", "concepts/vm-exit"),
    "VM exit": "concepts/vm-exit",
    "VM exits": "concepts/vm-exit",
    "exit handler": "steps/05-",
    "VMRESUME": "steps/05-",
    "VMCALL": "steps/05-",
    "hypercall": "steps/05-",
    "exception injection": "steps/05-",
    "event injection": "steps/05-",
    "VMXOFF": "steps/06-",
    "hotplug": "steps/06-",
    "EPT": "steps/07-ept",
    "EPT violation": "steps/07-ept",
    "INVVPID": "steps/07-ept",
    "MSR bitmap": "steps/07-owners",
    "XCR0": "steps/07-owners",
    "real mode": "steps/08-real-mode",
    "long mode": "steps/08-real-mode",
    "unrestricted guest": "steps/08-real-mode",
    "GDT": "steps/08-real-mode",
    "boot sector": "steps/08-",
    "BIOS": "steps/08-services",
    "interrupt window": "steps/09-interrupts",
    "interrupt injection": "steps/09-interrupts",
    "EOI": "steps/09-interrupts",
    "8259": "steps/09-interrupts",
    "timer": "steps/09-time",
    "UART": "steps/10-linux",
    "boot protocol": "steps/10-boot-protocol",
    "bzImage": "steps/10-boot-protocol",
    "reboot": "steps/10-why-it-boots",
    "HLT": "steps/09-time",
    "guest memory": "concepts/guest-memory",
    "interrupt": ("concepts/interrupts-and-scope", "steps/09-interrupts"),
    "NMI": ("concepts/interrupts-and-scope", "steps/05-"),
    "costs": "concepts/exit-costs",
    "kbuild": ("concepts/cxx-and-kbuild", "steps/00-"),
    "VM entry": "concepts/vm-entry",
    "VMX root operation": "concepts/root-and-non-root",
    "doctor": "how-to/use-the-doctor",
    "own guest": "how-to/write-your-own-guest",
    "secure boot": "how-to/secure-boot",
    "nested": "how-to/virtual-machine",
    "KVM": ("how-to/kvm-in-the-way", "steps/kvm-differently"),
    "Bochs": "how-to/bochs-debugger",
    "error 7": "reference/instruction-errors.html#error-7",
    "exit reason": "reference/exit-reasons.html",
    "exit reason 33": "reference/exit-reasons.html#exit-reason-33",
    "what does exit reason 33 mean": "reference/exit-reasons.html#exit-reason-33",
    "IA32_VMX_BASIC": "reference/msrs.html#msr-ia32-vmx-basic",
    "guest RIP": "reference/fields.html#field-guest-rip",
    "681EH": "reference/fields.html#field-guest-rip",
    "controls": "reference/controls",
    "triple fault": ("reference/glossary.html#term-triple-fault", "concepts/vm-exit"),
    "what is a hypervisor": "reference/glossary.html#term-hypervisor",
    "glossary": "reference/glossary",
    "exercises": "exercises/index",
    "exercises of step 03": "exercises/03-",
    "how to": "how-to/index",
    "quick start": "quick-start",
    "troubleshooting": "troubleshooting",
}
#: Words that chapters, exercises, the glossary and our code share.
SHARED = ["guest", "VMCS", "VMXON", "VMLAUNCH", "exit", "capability"]


@pytest.fixture(scope="module")
def results(html: Path) -> dict[str, list[str]]:
    """The addresses that each query finds, the first one first."""
    queries = [*WANTED, *SHARED]
    run = subprocess.run(["node", str(Path(__file__).with_name("search.js")), str(html)],
                         input=json.dumps(queries), stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(queries, json.loads(run.stdout), strict=True))


@pytest.mark.parametrize("words, where", WANTED.items())
def test_the_right_page_comes_first(results: dict[str, list[str]], words: str,
                                    where: str | tuple[str, ...]) -> None:
    assert results[words], "nothing was found"
    assert results[words][0].startswith(where), results[words][:5]


@pytest.mark.parametrize("words", SHARED)
def test_code_and_exercises_come_after_what_explains(results: dict[str, list[str]],
                                                     words: str) -> None:
    """Exercises below all chapters, the names of our code below everything."""
    found = [address.split("/")[0] if "reference/api" not in address else "code"
             for address in results[words]]
    assert {"steps", "exercises", "code"} <= set(found), "not a word that they share"
    assert "steps" not in found[found.index("exercises"):], results[words]
    assert set(found[found.index("code"):]) == {"code"}, results[words]
