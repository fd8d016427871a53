# SPDX-License-Identifier: GPL-2.0-only
"""Judging an exercise: what its script runs in the emulated machine, and what was to be seen.

./lab grade and the tests share this; they differ in how they boot.
"""
from __future__ import annotations

import errno
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping

from . import image, kernels
from .common import LabError
from .exercises import Check, Exercise
from .run import TAINT
from .watch import TROUBLE

#: What an exercise's script can use. The guest commands are for steps from 05 on.
LIBRARY = r"""
# load [PARAMETER=VALUE …]: insmod; its status is the module's errno
load() { /lab/bin/insmod $MODULE "$@" >/run/insmod; rc=$?; echo "@insmod $rc"; return $rc; }
# unload
unload() { sleep 0.2; rmmod $NAME; rc=$?; echo "@rmmod $rc"; return $rc; }
# show FILE: a file of the module in debugfs
show() { cat /sys/kernel/debug/$NAME/$1; }
# guest NAME: runs a program of the exercise's; prints the status of the write, 0 if all is well.
# Programs of step 11 are the machine's own: run $GUESTS/NAME.
guest() { cat $GUESTS/$1 >/sys/kernel/debug/$NAME/guest 2>/run/guest; echo "guest $1: $?"; }
# boot NAME [LIMIT]: step 10's Linux guest, for at most LIMIT seconds, with the exercise's program
# NAME as first process and $CMDLINE on its command line. Shows its console. What $TYPES holds is
# typed when a line ends in a question mark.
boot() {
D=/sys/kernel/debug/$NAME
cat /lab/linux/vmlinuz >$D/kernel && cat $GUESTS/$1 >$D/initrd
echo "console=ttyS0 quiet cryptomgr.notests panic=-1 $CMDLINE" >$D/cmdline
echo 1 >$D/run 2>/run/boot; rc=$?
echo "boot $1: $rc"
[ $rc = 0 ] || return $rc
(sleep ${2:-12}; echo 0 >$D/run) & limit=$!
tr -d '\r' <$D/console | while read -r line; do
echo "$line"
case $line in *"?") echo "$TYPES" >$D/console;; esac
done
kill $limit
show status
}
# fail WORDS: ends the script
fail() { echo "$*"; exit 1; }
"""

#: A predicting reader's VMCS is examined first, without an entry, and then entered.
PREDICT = "load check=1 && unload\nload && unload"

#: What is checked of each exercise without being asked for.
AUTOMATIC = {"loads": "insmod loads the module, and rmmod unloads it",
             "kernel": "the kernel has nothing to complain of"}

_FINDING = re.compile(r"^(\w\d+\w?): .*\(SDM, ")
_DECODED = re.compile(r"exit reason|VM-instruction error|VMfailInvalid|guest (ended|was)|faulted")
#: How EPT ends a guest.
_EPT = re.compile(r"guest ended: EPT (violation|misconfiguration).* guest-physical address (\w+)")
#: A guest that ran: what step 04 logs, and what those with a guest to its end do.
_ENTERED = re.compile(r"VMLAUNCH entered the guest|it ended with status 0 after")
#: What Bochs says of VMX, and of a processor that cannot go on. (Not of MSRs that it lacks.)
_BOCHS = re.compile(r"^\d+[ep]\[[^\]]*\] (?:>>PANIC<< )?(.*(?:VM[A-Z]+|exception|shutdown).*)$",
                    re.MULTILINE)


@dataclass
class Seen:
    """What the exercise's script did on one machine."""

    log: list[str] = field(default_factory=list)  # the module's lines, without its name
    output: str = ""
    trouble: list[str] = field(default_factory=list)  # by which the kernel reports a defect
    death: str = ""  # in words, if the machine did not come to the end of the script
    bochs: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """The doctor's findings, one for each rule that is broken."""
        return [line for line in dict.fromkeys(self.log) if _FINDING.match(line)]

    @property
    def decoded(self) -> list[str]:
        """Lines in which a VM exit or a failure is put into words."""
        return [line for line in dict.fromkeys(self.log)
                if _DECODED.search(line) and not _FINDING.match(line)]


@dataclass
class Verdict:
    """One line of the report."""

    expect: str
    good: bool
    seen: str = ""  # if not good


@dataclass(frozen=True)
class Answer:
    """A prediction, or what came of it."""

    rules: tuple[str, ...]  # a reader gives one; "none" if none is broken
    outcome: str  # "error 7", "exit 33", "exit 48 at 0x1000", "enters", …


def script(exercise: Exercise, module: str) -> str:
    """The whole script for the guest's sh; `module` is the path of the module there."""
    body = PREDICT if exercise.kind == "predict" else exercise.script
    return (f"MODULE={module}\nNAME={exercise.module}\nGUESTS=/lab/guests/{exercise.number}\n"
            f"{LIBRARY}\n{body.strip()}\n")


def files(exercise: Exercise) -> Mapping[str, image.Content]:
    """The exercise's own programs for the guest of step 05, its disks for the one of step 08, or a
    kernel and an initrd each for the one of step 10, where a program is a script for busybox. In
    step 11 the guest is the machine's own Linux, and a program is one in C."""
    if exercise.number >= "11":
        return {f"lab/guests/{exercise.number}/{name}": _compiled(
            code, "-O1", "-xc", "-Wall", "-Werror") for name, code in exercise.guests}
    if exercise.boots_linux:
        busybox = {"bin/busybox": Path("/bin/busybox")}
        folders = ("dev", "proc", "sys")
        return {"lab/linux/vmlinuz": kernels.image(kernels.DEFAULT).vmlinuz,
                **{f"lab/guests/{exercise.number}/{name}": image.pack(
                    {**busybox, "init": f"#!/bin/busybox sh\n{code}"}, folders)
                   for name, code in exercise.guests}}
    address = 0x7c00 if exercise.number >= "08" else 0x1000
    # As docs/how-to/write-your-own-guest.rst does it.
    flat = f"-Wl,-Ttext={address:#x},--build-id=none,--oformat=binary"
    return {f"lab/guests/{exercise.number}/{name}": _compiled(
        code, "-nostdlib", "-xassembler-with-cpp", flat) for name, code in exercise.guests}


def _compiled(code: str, *flags: str) -> bytes:
    """A program of an exercise: what gcc makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, "program")
        made = subprocess.run(["gcc", "-static", *flags, "-o", str(binary), "-"], input=code,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        if made.returncode != 0:
            raise LabError(f"A program of an exercise does not compile: {made.stdout}")
        return binary.read_bytes()


def seen(exercise: Exercise, kernel_log: list[str], output: str, death: str = "",
         bochs: str = "") -> Seen:
    """What a run showed, from the kernel's log without times and the script's output."""
    prefix = exercise.module + ": "
    log = [line[len(prefix):] for line in kernel_log
           if line.startswith(prefix) and not any(words in line for words in TAINT)]
    trouble = [line for line in kernel_log if TROUBLE.search(line) or line.startswith("RIP: ")]
    if trouble and re.search(r"^@insmod 1[3-9]\d$", output, re.MULTILINE):
        death = death or f"the kernel killed insmod: {trouble[0]}"
    said = [line.strip() for line in dict.fromkeys(_BOCHS.findall(bochs))]
    return Seen(log, output, trouble, death,
                [line for line in said if "soft power off" not in line])


def judge(exercise: Exercise, cpu: str, run: Seen, answer: Answer | None = None) -> list[Verdict]:
    """All checks of one machine's run, in order."""
    if run.death:
        return [Verdict("the machine lives to the end of the script", False, run.death)]
    own = [check for check in exercise.checks if check.on in ("", cpu)]
    verdicts = []
    if exercise.kind == "predict":
        verdicts += _judge_answer(run, answer or Answer((), ""))
    elif not any(check.insmod for check in own):
        verdicts.append(_loads(run))
    verdicts += [_judge(check, run) for check in own]
    verdicts.append(Verdict(AUTOMATIC["kernel"], not run.trouble,
                            run.trouble[0] if run.trouble else ""))
    return verdicts


def statuses(run: Seen, command: str) -> list[int]:
    """What insmod or rmmod exited with, each time."""
    return [int(status) for status in re.findall(rf"^@{command} (\d+)$", run.output, re.MULTILINE)]


def _last(run: Seen) -> str:
    return f": {run.log[-1]}" if run.log else ""


def _loads(run: Seen) -> Verdict:
    expect = AUTOMATIC["loads"]
    for command in ("insmod", "rmmod"):
        found = statuses(run, command)
        if bad := next((status for status in found if status), 0):
            return Verdict(expect, False, f"{command}: {errno.errorcode.get(bad, bad)}{_last(run)}")
        if not found:
            return Verdict(expect, False, f"the script did not come to {command}"
                           f"{': ' + run.output.split(chr(10))[0] if run.output else ''}")
    return Verdict(expect, True)


def _judge(check: Check, run: Seen) -> Verdict:
    if check.insmod:
        found = [errno.errorcode.get(status, "success") for status in statuses(run, "insmod")]
        return Verdict(check.expect, found[:1] == [check.insmod],
                       f"insmod: {', '.join(found)}{_last(run)}")
    lines = run.log if check.log else run.output.splitlines()
    text = "\n".join(lines)
    found_at = re.search(check.log or check.prints, text, re.MULTILINE)
    if bool(found_at) != check.never:
        return Verdict(check.expect, True)
    if check.never and found_at:
        shown = [found_at[0]]
    elif check.near:
        shown = [line for line in lines if re.search(check.near, line)][:2]
    else:
        shown = []
    return Verdict(check.expect, False, "; ".join(shown) or "no such line" + (
        f". The last one{_last(run)}" if run.log else ""))


def explained(exercise: Exercise, run: Seen) -> list[str]:
    """What the reader did, where the run shows what only one wrong answer is known to lead to."""
    return [wrong.means for wrong in exercise.wrong
            if (wrong.log in run.log if wrong.log
                else re.search(wrong.prints, run.output, re.MULTILINE))]


# ---- predictions -----------------------------------------------------------------------------

def truth(run: Seen) -> Answer:
    """What the doctor found, and what the processor did."""
    rules = tuple(found[1] for line in run.findings if (found := _FINDING.match(line)))
    text = "\n".join(run.log)
    if error := re.search(r"VM-instruction error (\d+): ", text):
        outcome = f"error {error[1]}"
    elif failed := re.search(r"VM entry failed: exit reason 0x800000(\w\w)", text):
        outcome = f"exit {int(failed[1], 16)}"
    elif stopped := _EPT.search(text):
        reason = 48 if stopped[1] == "violation" else 49
        outcome = f"exit {reason} at {stopped[2]}"
    else:
        outcome = "enters" if _ENTERED.search(text) else "neither"
    return Answer(rules or ("none",), outcome)


def _judge_answer(run: Seen, answer: Answer) -> list[Verdict]:
    right = truth(run)
    rule, outcome = "".join(answer.rules), answer.outcome
    return [
        Verdict(f"the doctor names the rule that you named ({rule or 'nothing yet'})",
                rule in right.rules, f"the doctor says {' and '.join(right.rules)}"),
        Verdict(f"the processor does what you predicted ({outcome or 'nothing yet'})",
                outcome == right.outcome, f"the processor says {right.outcome}")]


def read_answer(path: Path) -> Answer:
    """The reader's answer."""
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LabError(f"{os.path.basename(path)} cannot be read: {error}") from None
    rule, outcome = (str(data.get(name, "")).strip() for name in ("rule", "outcome"))
    return Answer((rule,) if rule else (), outcome)
