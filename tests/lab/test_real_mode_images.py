# SPDX-License-Identifier: GPL-2.0-only
"""Step 08: random boot images, and the file and the parameters that take what a guest gets."""
from __future__ import annotations

import re
from dataclasses import replace

import guest_runs
import pytest
import soak
from guest import Case, in_guest
from guest_runs import EFBIG, ENOEXEC
from results import write_row
from soak import often
from test_guest_contract import FILE_CHECKS
from test_hostile_guests import judge_random, random_script
from test_real_mode_guests import FILES, GUESTS, MODULE, files, run_of

RANDOM_GUESTS = {1: often(200, 100_000), 2: 200}  # a boot, by its number of CPUs
#: Bochs calls faults that stay in the guest errors. Those of 100,000 guests are too much for a log.
QUIET = [replace(machine, bochsrc=("error: action=ignore",) * soak.ON) for machine in GUESTS]
SURVIVOR = "/lab/guests/boot_hostile/survivor.bin"


@in_guest(QUIET, lambda: random_script(RANDOM_GUESTS, *FILES, module=MODULE,
                                       parameters="memory_mb=1", survivor=SURVIVOR),
          name="random guests in real mode", seconds=often(300, 9000), files=files)
def test_random_guests_in_real_mode(case: Case) -> None:
    write_row("random_guests_real_mode", judge_random(case, RANDOM_GUESTS), ("machine",))


FILE_SCRIPT = f"""
    load {MODULE} memory_mb=1 limit_ms=300 || fail "insmod: $?"
    MODULE={MODULE} lab-tool file
    unload {MODULE}"""

file_08 = in_guest(GUESTS[0], FILE_SCRIPT, name="guest file of step 08", seconds=120,
                   files=lambda: guest_runs.files())


@pytest.mark.parametrize("name", FILE_CHECKS)
@file_08
def test_file_of_step_08_keeps_its_promise(name: str, case: Case) -> None:
    """Among them an image of 1,474,560 bytes, and one of a byte more (EFBIG)."""
    said = [line for line in case.output.splitlines()
            if re.match(rf"(not )?ok {name}(:|$)", line)]
    assert said == [f"ok {name}"], f"{said or 'not checked'} {case.output[-300:]} {case}"
    assert case.rc == 0 and not case.trouble and not case.left, case


#: Images, how each is made, and what comes of it.
IMAGES = {
    "of_511_bytes": ("head -c 511 $hlt", ENOEXEC), "of_512_bytes": ("cat $hlt", 0),
    "of_513_bytes": ("cat $hlt; echo -n x", 0),
    "of_a_floppy_disk": ("cat $hlt; head -c 1474048 /dev/zero", 0),
    "too_large": ("cat $hlt; head -c 1474049 /dev/zero", EFBIG),
    "without_55": ("head -c 510 $hlt; printf '\\0\\252'", ENOEXEC),
    "without_aa": ("head -c 511 $hlt; printf '\\0'", ENOEXEC),
    "of_zeroes": ("head -c 1024 /dev/zero", ENOEXEC),
    "elf": ("head -c 65536 /bin/busybox", ENOEXEC),
    "of_one_byte": ("printf '\\364'", ENOEXEC),
}
HLT = "/lab/guests/boot_events/ends_by_hlt.bin"


@in_guest(GUESTS[0], "\n".join([
    f"export MODULE={MODULE}; load $MODULE memory_mb=1 || fail insmod; hlt={HLT}",
    *(f"{{ {how}; }} >/run/{name}.bin; lab-tool run 2000 /run/{name}.bin"
      for name, (how, _) in IMAGES.items()), "unload $MODULE"]),
    files=lambda: guest_runs.files("boot_events"), name="boot images")
def test_image_is_looked_at_before_it_runs(case: Case) -> None:
    """As a BIOS does. What is not taken is refused in words."""
    words = {0: "", EFBIG: "this guest is too large: it may have at most 1474560 bytes",
             ENOEXEC: r"this is no boot image: .* 512 bytes, with 0x55 and 0xaa at offset 510, .*"}
    for name, (_, error) in IMAGES.items():
        run = run_of(case, name)
        assert run.error == error and (run.result > 0) == (error == 0), run
        assert re.fullmatch(words[error], run.verdict), run
    assert case.rc == 0 and not case.trouble and not case.left, case


#: The file `guest` of this step takes the keys of the parameter. What it refuses, and the words.
BAD_KEYS = {"two lines": r"'a\nb'", "tab": r"'a\tb'", "not ASCII": r"'a\351'",
            "256 characters": "%0256d 7"}


@in_guest(GUESTS[0], "\n".join([
    f"load {MODULE} memory_mb=1 keys=first || fail insmod",
    f"keys=/sys/module/{MODULE}/parameters/keys; cat $keys",
    *(f"printf {text} >$keys; echo $?; cat $keys" for text in BAD_KEYS.values()),
    "printf '%0255d' 7 >$keys; echo $?; wc -c <$keys",
    "printf second >$keys; echo $?; cat $keys", f"unload {MODULE}"]), name="bad keys")
def test_keys_that_cannot_be_typed_are_refused(case: Case) -> None:
    """In words, and the ones before stay."""
    assert case.output.split() == ["first", *["1", "first"] * len(BAD_KEYS), "0", "256", "0",
                                   "second"], case.output
    said = [line for line in case.log_of(MODULE) if line.startswith("keys= is not possible: give ")]
    assert [line.split("give ")[1].split(" of ")[0] for line in said] == [
        "one line", "characters", "characters", "one line"], case
    assert not case.trouble and not case.left, case


@in_guest(GUESTS[0], "\n".join([
    f"export MODULE={MODULE}; load $MODULE memory_mb=1 check=1 || fail insmod",
    f"lab-tool run 2000 {HLT}", "unload $MODULE"]),
    files=lambda: guest_runs.files("boot_events"), name="boot image, examined")
def test_vmcs_of_a_boot_image_is_sound(case: Case) -> None:
    run = run_of(case, "ends_by_hlt")
    assert run.result == 512, run
    assert len(re.findall(r"doctor: none of \d+ rules of VM entry is broken, 0 could", case.log)) \
        == 2, case
    assert not case.trouble and not case.left, case
