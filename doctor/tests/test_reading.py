# SPDX-License-Identifier: GPL-2.0-only
# long-file: each way in which a log is changed between the kernel and the doctor.
"""What mail, web pages, terminals and log collectors do to a dump of KVM's, and that it is read all
the same: one dump with one broken rule is changed in each way, and has to give the same report."""
from __future__ import annotations

import html
import json
import quopri
import random
import re
import textwrap
from typing import Callable

import pytest

from program import SAMPLES, doctor, examined, notes, rules

#: R05 is broken in it, and nothing else. Without its time stamps.
DUMP = re.sub(r"(?m)^\[ *[0-9.]+\] ", "",
              (SAMPLES / "kvm-6.1-interrupt.log").read_text(encoding="utf-8")).splitlines()[1:]
FIELDS = 114


def stamped(lines: list[str], form: str = "[ 1524.{:06d}] ") -> list[str]:
    """With a prefix that has a number in it which grows."""
    return [form.format(416000 + 7 * i) + line for i, line in enumerate(lines)]


def wrapped(lines: list[str], width: int, quote: str = "", rest: str | None = None,
            flowed: bool = False) -> list[str]:
    """As a mail program breaks lines: at blanks, with marks before the rest or without."""
    result = []
    for line in lines:
        parts = textwrap.wrap(line, width - len(quote), break_long_words=False,
                              drop_whitespace=True, break_on_hyphens=False) or [""]
        result.append(quote + parts[0] + (" " if flowed and len(parts) > 1 else ""))
        result += [(quote if rest is None else rest) + part for part in parts[1:]]
    return result


def broken(lines: list[str], width: int) -> list[str]:
    """As a terminal breaks lines: anywhere."""
    return [line[at:at + width] for line in lines for at in range(0, max(len(line), 1), width)]


def text_of(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def is_read(text: bytes, *words: str) -> None:
    """The report is that of the unchanged dump."""
    report, = examined(*words, text=text, status=1)
    assert rules(report) == ["R05"], report
    assert report["fields_known"] == FIELDS and report["missing"] == [], report
    assert report["notes"] == []


PREFIXES = [
    "", "        ", "\t\t", "> ", ">", ">> ", "> > ", " > ", ">> > >", "| ", "* ", "- ", "    ",
    ": ",
    "[ 1524.{:06d}] ", "[{:06d}] ", "[   12.{:06d}] kvm_intel: ", "<3>[ 12.{:06d}] ",
    "[12.{:06d}][ T2211] kvm_intel: ", "[   12.{:06d}][    C3] ", "[Thu Nov 26 03:25:42 2026] ",
    "[  +0.{:06d}] ", "kern  :err   : [ 12.{:06d}] ", "2026-11-26T03:25:42,{:06d}+00:00 ",
    "Nov 20 09:14:07 host kernel: ", "Nov 20 09:14:07 host kernel: [ 12.{:06d}] kvm_intel: ",
    "2026-11-26T03:25:42.{:06d}+00:00 my-host.example kernel: ", "[ 12.{:06d}] host kernel: ",
    "2026-11-26T03:25:42.{:06d}Z stderr F ", "worker_1  | ", "pod/vm-7 kernel | <3>",
    "2026-11-26T03:25:42.{:06d}Z [ 1524.1] kvm_intel: ", "03:25:42  ", "{:d}:", "dmesg.txt:{:d}:",
    "{:d}-[ 12.5] ", "   {:d}\t", "{:d}. ", "12,{:d},673850218,-;kvm_intel: ",
    "I1126 03:25:42.{:06d}   22261 main.go:110] libmachine: (vm) DBG | ",
    "[03:25:42.541][Moby           ][Info   ] [    0.{:06d}] ", "00000{:d}\t1.46414709\t",
    "      CPU 0/KVM-251862 [019]  6384.{:06d}: bprint:               dump_vmcs: ",
    "2026-11-26 03:25:42 <kern.err> host kernel: ", "| host | err | ", "#{:d} ", "// ",
    "E/kernel: ",
    "{{\"n\":{:d}}} ", "+[ 1524.{:06d}] ", "(dom0) ", "$HOST\\kernel% ", "\N{BULLET} ", "Jane> "]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_whatever_stands_before_the_words(prefix: str) -> None:
    """No list of prefixes can be whole, so none is needed; some of these nobody uses."""
    is_read(text_of(stamped(DUMP, prefix)))


@pytest.mark.parametrize("width", [60, 66, 70, 72, 74, 76, 78, 80, 90])
@pytest.mark.parametrize("quote, rest", [("", None), ("> ", None), (">> > ", None), ("> ", ""),
                                         (">> ", "> "), ("> ", ">"), ("   ", "")])
@pytest.mark.parametrize("stamp", ["", "[ 1524.{:06d}] ", "Nov 20 09:14:07 h kernel: "])
def test_wrapped_by_mail(width: int, quote: str, rest: str | None, stamp: str) -> None:
    is_read(text_of(wrapped(stamped(DUMP, stamp), width, quote, rest)))
    is_read(text_of(wrapped(stamped(DUMP, stamp), width, quote, rest, flowed=True)))


@pytest.mark.parametrize("width", [40, 72, 80, 100, 132])
@pytest.mark.parametrize("stamp", ["", "[ 1524.{:06d}] ", "[ 1524.{:06d}] kvm_intel: "])
def test_wrapped_by_a_terminal(width: int, stamp: str) -> None:
    is_read(text_of(broken(stamped(DUMP, stamp), width)))


@pytest.mark.parametrize("columns", [62, 72, 76])
def test_a_wrapped_line_with_its_prefix_again(columns: int) -> None:
    """Some viewers repeat the time before what is left of a line."""
    mark = "[ 1524.416001] host kernel: "
    lines = [mark + part for line in DUMP
             for part in textwrap.wrap(line, columns - len(mark), break_long_words=False) or [""]]
    is_read(text_of(lines))


def quoted_printable(text: bytes) -> bytes:
    return quopri.encodestring(text)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "carriage returns": lambda t: t.replace(b"\n", b"\r\n"),
    "visible carriage returns": lambda t: t.replace(b"\n", b"^M\n"),
    "quoted-printable": quoted_printable,
    "quoted-printable, CR LF": lambda t: quoted_printable(t).replace(b"\n", b"\r\n"),
    "quoted-printable, a mail's head": lambda t:
        b'Content-Type: text/plain; charset="utf-8"\nX: a=b; c=d\n\n' + quoted_printable(t),
    "no-break blanks": lambda t: t.replace(b"  ", b" \xc2\xa0"),
    "Latin-1's no-break blanks": lambda t: t.replace(b"  ", b"\xa0 "),
    "quoted-printable no-break blanks": lambda t:
        quoted_printable(t.replace(b"  ", b"\xc2\xa0 ").replace(b", ", b",\xc2\xa0")),
    "zero-width blanks": lambda t: t.replace(b"=", b"=\xe2\x80\x8b"),
    "tabs": lambda t: t.replace(b"  ", b"\t"),
    "a byte order mark": lambda t: b"\xef\xbb\xbf" + t,
    "UTF-16": lambda t: t.decode().encode("utf-16"),
    "UTF-16, big": lambda t: b"\xfe\xff" + t.decode().encode("utf-16-be"),
    "squeezed blanks": lambda t: re.sub(rb" +", b" ", t),
    "colours": lambda t: re.sub(rb"(?m)^(.*)$", b"\x1b[0;31m\\1\x1b[0m", t),
    "colours inside": lambda t: t.replace(b"=", b"\x1b[1m=\x1b[22m"),
    "colours, caret": lambda t: re.sub(rb"(?m)^(.*)$", b"^[[31m\\1^[[0m", t),
    "colours, no escape": lambda t: re.sub(rb"(?m)^(.*)$", b"[31m\\1[0m", t),
    "colours, rsyslog": lambda t: re.sub(rb"(?m)^(.*)$", b"#033[31m\\1#033[0m", t),
    "colours, written out": lambda t: re.sub(rb"(?m)^(.*)$", rb"\\x1b[31m\1\\x1b[0m", t),
    "HTML": lambda t: b"<html><body><pre>" + html.escape(t.decode()).encode() + b"</pre></body>",
    "HTML quoted": lambda t: b"<pre>" + html.escape(
        re.sub(r"(?m)^", "> ", t.decode())).encode() + b"</pre>",
    "HTML with breaks": lambda t: b"<p>" + t.replace(b"\n", b"<br/>\n") + b"</p>",
    "HTML in one line": lambda t: b"<p>" + t.replace(b"\n", b"<br>").replace(b"  ", b"&nbsp; "),
    "HTML table": lambda t: re.sub(rb"(?m)^(.*)$", b"<tr><td>1</td><td>\\1</td></tr>", t),
    "HTML spans": lambda t: re.sub(rb"(?m)^(.*)$", b'<span class="l">\\1</span>', t),
    "HTML, numbers": lambda t: b"<pre>" + t.replace(b"=", b"&#61;").replace(b"|", b"&#x7c;"),
    "JSON lines": lambda t: b"".join(
        json.dumps({"log": line.decode() + "\n", "stream": "stderr"}).encode() + b"\n"
        for line in t.splitlines()),
    "JSON in one line": lambda t: json.dumps({"MESSAGE": t.decode()}).encode(),
    "Markdown's escapes": lambda t: t.replace(b"*", b"\\*").replace(b"_", b"\\_"),
    "Markdown ate it": lambda t: t.replace(b"*** ", b"").replace(b" ***", b"").replace(b"_", b""),
    "a code fence": lambda t: b"```" + t + b"```\n",
    "a prompt": lambda t: b"root@host:~# dmesg | tail -50\n" + t + b"root@host:~# \n",
    "each line twice": lambda t: b"".join(
        line + b"\n" + line + b"\n" for line in t.splitlines()),
    "the newest line first": lambda t: b"\n".join(reversed(t.splitlines())),
    "empty lines": lambda t: t.replace(b"\n", b"\n\n"),
    "values in code": lambda t: re.sub(rb"=((0x)?[0-9a-f]+)", rb"=`\1`", t),
    "bold labels": lambda t: re.sub(rb"(?m)(\w+)(=| =)", rb"**\1**\2", t),
    "blanks behind the equals sign": lambda t: re.sub(rb"=(?=\w)", b"= ", t),
    "underscores gone": lambda t: t.replace(b"_", b" "),
    "staircase": lambda t: b"\n".join(
        b" " * (40 * i % 900) + line for i, line in enumerate(t.splitlines())),
}


@pytest.mark.parametrize("stamp", ["", "[ 1524.{:06d}] kvm_intel: "])
@pytest.mark.parametrize("coding", CODINGS)
def test_however_it_is_coded(coding: str, stamp: str) -> None:
    is_read(CODINGS[coding](text_of(stamped(DUMP, stamp))))


@pytest.mark.parametrize(
    "first", ["quoted-printable", "colours", "HTML", "no-break blanks", "tabs"])
@pytest.mark.parametrize("width", [72, 76])
def test_coded_and_quoted_and_wrapped(first: str, width: int) -> None:
    lines = wrapped(stamped(DUMP, "> [ 1524.{:06d}] "), width, "> ")
    is_read(CODINGS[first](text_of(lines)))
    lines = wrapped(stamped(DUMP, "Nov 20 09:14:07 host kernel: "), width, ">> ", "> ")
    is_read(CODINGS[first](text_of(lines)))


@pytest.mark.parametrize("end", ["<br>\n", "<br/>", "</p>\n<p>", "\n\n"])
def test_wrapped_with_empty_lines_in_between(end: str) -> None:
    lines = wrapped(stamped(DUMP), 72, "> ")
    is_read(("<p>" + end.join(html.escape(line) for line in lines) + "</p>").encode())


CUT_SAMPLES = {"kvm-6.1-sound.log": set(), "kvm-6.1-limit.log": {"S19"},
               "kvm-6.12-controls.log": {"C08", "C18"}}


@pytest.mark.parametrize("sample", CUT_SAMPLES)
@pytest.mark.parametrize("before", ["", "> ", "Nov 29 12:48:01 h kernel: ", "6384.1: ", "2026 "])
def test_lines_cut_on_the_right_break_no_rule(sample: str, before: str) -> None:
    """Digits of the next line's time or of its prefix are never those of a value."""
    lines = [before + line for line in (SAMPLES / sample).read_text().splitlines()]
    reports = 0
    for width in range(20, 118):
        run = doctor("--json", text=text_of([line[:width] for line in lines]))
        for report in json.loads(run.stdout or "[]"):  # too narrow, and there is no dump in it
            assert set(rules(report)) <= CUT_SAMPLES[sample], width
            reports += 1
    assert reports > 40, "most widths leave something to examine"


@pytest.mark.parametrize("between", [
    [], ["kvm_intel: kvm [9]: vcpu1, guest rIP: 0x1000 vmx: unexpected exit reason 0x30"]])
@pytest.mark.parametrize("second", ["[ 1524.{:06d}] ", "[    2.{:06d}] "])
def test_the_front_of_one_dump_and_the_end_of_another(between: list[str], second: str) -> None:
    """The time, or a sentence of KVM's between them, tells them apart."""
    real = (SAMPLES / "kvm-6.1-limit.log").read_text().splitlines()
    half = next(i for i, line in enumerate(DUMP) if "Control State" in line)
    if between:
        real = [re.sub(r"^\[ *[0-9.]+\] ", "", line) for line in real]
        second = ""
    text = text_of(real[:32] + between + stamped(DUMP[half:], second))
    reports = examined(text=text, status=1)
    assert [rules(report) for report in reports] == [["S19"], []]
    assert all(report["missing"] for report in reports)


NOISE = [
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd", "audit: type=1400 reason=3 CS=1",
    "kvm [2211]: vcpu0, guest rIP: 0xffffffff81c00ad0 unhandled rdmsr: 0x611",
    "KVM: entry failed, hardware error 0x80000021", "",
    "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663",
    "RIP=ffffffff81c00ad0 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0",
    "RSI=ffffc9000003be78 RDI=0000000000000000 RBP=ffffc9000003be78 RSP=ffffc9000003be78",
    "CS =0010 0000000000000000 ffffffff 00a09b00 DPL=0 CS64 [-RA]",
    "CR0=80050033 CR2=00000000 CR3=0a5f2000 CR4=00000660",
    "DR6=00000000ffff0ff0 DR7=0000000000000400",
    "EFER=0000000000000d01", "GDT=     fffffe0000001000 0000007f",
    "RSP: 0018:ffffb6a5c1e3fc98 EFLAGS: 00010246",
    "CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
    "CR2: 00007f2b11ffb6c0 CR3: 000000011d2b4004 CR4: 00000000003726e0",
    "FS:  00007f2b11ffb6c0(0000) GS:ffff9c1e5fb80000(0000) knlGS:0000000000000000",
    "Xen: VMX enabled", "x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT",
    "x" * 5000, "\N{BULLET} caf\N{LATIN SMALL LETTER E WITH ACUTE}", "TR=0040", "PAT = none",
    "exit: reason=3 qualification=0", "rcu: INFO: rcu_sched self-detected stall on CPU",
    "This is interesting, CR3 = 0x is strange, and the Guest State looks fine.", "sel=0x0010"]


def noisy(lines: list[str], seed: int, before: str) -> list[str]:
    """Lines of other programs among those of the dump."""
    chance = random.Random(seed)
    result = []
    for line in lines:
        result += [before + noise for noise in chance.sample(NOISE, chance.choice((0, 0, 1, 2)))]
        result.append(line)
    return result + [before + noise for noise in NOISE]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("before", ["", "[ 1524.5] "])
def test_other_programs_lines(seed: int, before: str) -> None:
    """In between and behind."""
    report, = examined(text=text_of(noisy(stamped(DUMP), seed, before)), status=1)
    assert rules(report) == ["R05"] and report["fields_known"] == FIELDS
    assert all("4096" in note for _, note in notes(report))


@pytest.mark.parametrize("line", [
    "Nov 26 03:31:02 node lxd[9]: CR3 = 0x0000000000001000", "node x: PAT = 0x0007040600070406",
    "node y: EFER= 0x0000000000000500",
    "node z: RIP = 0x0000000000000001  RSP = 0x0000000000000001"])
@pytest.mark.parametrize("place", ["behind", "between"])
def test_a_line_of_another_program_that_looks_like_kvms(line: str, place: str) -> None:
    """It does not begin as the others do, or is where KVM prints no such line."""
    lines = stamped(DUMP, "Nov 26 03:25:42 node kernel: ")
    lines.insert(len(lines) if place == "behind" else 30, line)
    report, = examined(text=text_of(lines), status=1)
    assert rules(report) == ["R05"] and report["fields_known"] == FIELDS


def changed(old: str, new: str) -> list[str]:
    assert any(old in line for line in DUMP)
    return stamped([line.replace(old, new) for line in DUMP])


@pytest.mark.parametrize("old, new, field", [
    ("actual=0x0000000000002660", "actual=0x0000000000g02660", "Guest CR4"),
    ("CR3 = 0x", "CR3 = <private> ", ""),
    ("FSBase=00007f2b11ffb6c0", "FSBase=XXXXXXXX", "Host FS base"),
    ("TPR Threshold = 0x00", "TPR Threshold = 0x??", ""),
    ("limit=0x00004087", "limit=0x4087", "Guest TR limit"),
    ("GSBase=ffff9c1e5fb80000", "GSBase=(____ptrval____)", "Host GS base")])
def test_a_bad_value_spoils_one_field(old: str, new: str, field: str) -> None:
    report, = examined(text=text_of(changed(old, new)), status=1)
    assert rules(report) == ["R05"] and report["fields_known"] == FIELDS - 1
    assert not field or any(field in note for _, note in notes(report))


def test_a_cut_last_line_costs_that_line() -> None:
    lines = stamped(DUMP)
    text = text_of(lines)
    at = text.index(b"base=0xffff88813bc00000") + 12
    report, = examined(text=text[:at], status=3)
    line = text[:at].count(b"\n") + 1
    assert notes(report) == [(line, "is cut off before the value of Guest GS base")]
    assert report["missing"][0].startswith("Guest State: GS, GDTR")
    shown = doctor(text=text[:at]).stdout
    assert f"\n  line {line} is cut off before the value of Guest GS base\n" in shown


def others() -> list[str]:
    """Another processor's dump: other values, and nothing is broken."""
    return [line.replace("10a5f2000", "10b5f2000").replace("RFLAGS=0x00000002", "RFLAGS=0x00000202")
            for line in DUMP]


def mixed(chunks: int, first: str, second: str) -> bytes:
    chance = random.Random(chunks)
    lists = [[first + line for line in DUMP], [second + line for line in others()]]
    result = []
    while any(lists):
        chosen = chance.choice([lines for lines in lists if lines])
        for _ in range(chance.randint(1, chunks)):
            if chosen:
                result.append(chosen.pop(0))
    return text_of(result)


@pytest.mark.parametrize("chunks", [1, 2, 5, 12])
@pytest.mark.parametrize("first, second", [
    ("[ 12.5][ T2211] ", "[ 12.5][ T2212] "),
    ("[ 12.5][    C1] kvm_intel: ", "[ 12.5][    C3] kvm_intel: "),
    ("CPU 0/KVM-2518 [019] 63.1: dump_vmcs: ", "CPU 1/KVM-2519 [003] 63.1: dump_vmcs: ")])
def test_two_dumps_are_told_apart_by_caller(chunks: int, first: str, second: str) -> None:
    reports = examined(text=mixed(chunks, first, second), status=1)
    assert sorted(map(rules, reports)) == [[], ["R05"]]
    assert [report["fields_known"] for report in reports] == [FIELDS, FIELDS]


@pytest.mark.parametrize("chunks", [1, 2, 5, 12])
def test_two_dumps_that_cannot_be_told_apart_are_refused(chunks: int) -> None:
    run = doctor(text=mixed(chunks, "[ 12.5] ", "[ 12.5] "))
    assert run.returncode == 2 and "of two dumps are mixed" in run.stderr, run.stdout


@pytest.mark.parametrize("lines, broken_rules", [
    (["RFLAGS=0x00000002         DR7 = 0x0000000000000400",
      "VMEntry: intr_info=800000d1 errcode=00000000 ilen=00000000"], ["R05"]),
    (["*** Control State ***", "EntryControls=0000d3ff ExitControls=002befff",
      "Virtual processor ID = 0x0000"], []),
    (["CS:   sel=0x0010, attr=0x0e09b, limit=0xffffffff, base=0x0000000000000000",
      "RFLAGS=0x00000202         DR7 = 0x0000000000000400",
      "EntryControls=0000d3ff ExitControls=002befff"], ["S18"])])
def test_the_telling_lines_alone(lines: list[str], broken_rules: list[str]) -> None:
    report, = examined(text=text_of(lines), status=1 if broken_rules else 3)
    assert rules(report) == broken_rules and report["missing"]
    report, = examined(text=text_of(["> " + line for line in lines]),
                       status=1 if broken_rules else 3)
    assert rules(report) == broken_rules


@pytest.mark.parametrize("start", range(3, 40, 3))
def test_a_tail_without_a_heading(start: int) -> None:
    """Its lines say themselves to which part they belong. R05 needs RFLAGS, which comes early."""
    lines = stamped(DUMP)[start:]
    has_flags = any("RFLAGS" in line for line in lines)
    report, = examined(text=text_of(lines), status=1 if has_flags else 3)
    assert rules(report) == (["R05"] if has_flags else [])
    whole, = examined(text=text_of(stamped(DUMP)), status=1)
    assert {row["rule"] for row in whole["undecided"]} <= {
        row["rule"] for row in report["undecided"]} and report["missing"]
