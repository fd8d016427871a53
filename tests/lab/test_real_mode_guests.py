# SPDX-License-Identifier: GPL-2.0-only
"""Step 08: what a guest finds that begins like a PC, and what it cannot do.

Its guests (guests/boot_*.S) are boot images that check themselves, as those of steps 05 and 07 do.
"""
from __future__ import annotations

import re
from collections import Counter

import guest_runs
import host_builds
import pytest
from guest import Case, in_guest
from guest_runs import EIO, ETIME, GuestRun
from results import write_row
from test_guest_contract import GUESTS as GUESTS_05
from test_hostile_guests import STOPPED

MODULE = "step08_real_mode"
FOLDER = f"/sys/kernel/debug/{MODULE}"
#: Beside the guests of steps 05 and 07, in the same boots.
GUESTS = (GUESTS_05[0], GUESTS_05[-1])
FILES = ("boot_bios", "boot_modes", "boot_events", "boot_hostile")
LIMIT_MS = 30
MORE_MS = 400  # to make RAM ready and to log the end, beside the other CPU's work

#: Images of another size than their program: what follows it, and how it is made there.
SHORT = "printf '\\347'"
DISK = "cat /lab/guests/disk.rest"
TAILS = {"boot_disk_by_place": DISK, "boot_disk_across_tracks": DISK, "boot_disk_by_number": DISK,
         "loop_disk": DISK, "boot_disk_short_sector": SHORT}
#: What is to be typed, as the parameter keys has it.
KEYS = {"boot_keys": r"aB \r", "boot_keys_echo": r"Az~ \r\x\\r"}
#: Run once for each size of RAM, in MiB.
MAP = "boot_e820_prints"
SIZES = (1, 16, 200)

NO_HANDLER = r"the guest ended: vector {} \({}\) at {} in real mode, and the guest has no .*"
VIOLATION = r"the guest ended: EPT violation: {} guest-physical address {}, RIP {}"
TRIPLE = r"the guest ended: triple fault at RIP 0x[0-9a-f]+"
STRING = r"the guest ended: INS or OUTS at RIP 0x7c0[0-9a-f]; string I/O is not emulated.*"
TASK = r"the guest ended: task switch at RIP 0x[0-9a-f]{4}; task switches are not emulated"
ANY = r"0x[0-9a-f]+"
#: Guests that are not meant to end with status 0, and what is said of them. RAM ends at 1 MiB.
ENDINGS = {
    "boot_keys": r"the guest ended: it waits for a key \(INT 16h\), and none is left; type .*",
    "boot_frame_beyond_ram": VIOLATION.format("a write to", "0x100fee", "0x7c14"),
    "ends_with_status": r"the guest ended with status 0x1234",
    **{name: NO_HANDLER.format(*words) for name, words in {
        "none_de": (0, "#DE", "0000:7c02"), "none_db": (1, "#DB", "0000:7c01"),
        "none_db_step": (1, "#DB", "0000:7c05"), "none_bp": (3, "#BP", "0000:7c01"),
        "none_int_3": (3, "#BP", "0000:7c0[12]"), "none_of": (4, "#OF", "0000:7c05"),
        "none_br": (5, "#BR", "0000:7c03"), "none_ud": (6, "#UD", "0000:7c00"),
        "none_nm": (7, "#NM", "0000:7c05"), "none_ss": (12, "#SS", "0000:7c03"),
        "none_gp": (13, "#GP", "0000:7c00"), "none_gp_raised": (13, "#GP", "0000:7c06"),
        "none_int_8": (8, "#DF", "0000:7c02"), "none_elsewhere": (6, "#UD", "07a0:0205"),
        "bios_by_jump_as_an_exception": (13, "#GP", "beef:cafe"),
    }.items()},
    "string_insb": STRING, "string_rep_outsw": STRING,
    **dict.fromkeys(("triple_fault_in_real_mode", "triple_fault_in_protected_mode",
                     "triple_fault_in_long_mode", "triple_fault_by_stack",
                     "protected_mode_without_tables", "descriptor_tables_in_the_screen"), TRIPLE),
    **dict.fromkeys(("task_switch_by_jump", "task_switch_by_call_of_gate",
                     "task_switch_by_interrupt", "task_switch_by_iret"), TASK),
    **{name: VIOLATION.format(*words) for name, words in {
        "beyond_1_mib": ("a read of", "0x100000", "0x7c05"),
        "beyond_1_mib_write": ("a write to", "0x100000", "0x7c05"),
        "beyond_1_mib_fetch": ("a fetch from", "0x100000", ANY),
        "vectors_all_ones": ("a fetch from", "0x10ffef", "0xffff"),
        "bios_by_jump_without_a_stack": ("a read of", "0x100ff[02]", "0x43"),
        "long_mode_without_memory": ("a page walk to", "0xfffff000", ANY),
        "long_mode_into_nothing": ("a read of", "0x40000000", ANY),
    }.items()},
}
#: Guests that would never end.
ENDLESS = [name for name in host_builds.names(*FILES) if name.startswith("loop_")] + [
    "fpu_error_without_ne"]
#: How these end is their own affair.
SOMEHOW = ("stack_in_the_vectors", "reset_vector", "far_jumps_everywhere", "self_erasing")
#: What guests print.
PRINTED = {
    "modes_hypercalls": ["real", "protected", "long"], "v86": ["v86"],
    "boot_keys_echo": [r"Az~ \x0d\x\\x0d"],
    "modes_protected": ["..."], "modes_long": ["..."], "modes_unreal": ["u"],
}


def run_of(case: Case, name: str) -> GuestRun:
    """One guest's run; fails the test if the case did not come to it."""
    found = guest_runs.runs(case, MODULE)
    assert name in found, f"{name} did not run: {case.output[-500:]} {case}"
    return found[name]


def files() -> dict[str, object]:
    """The images, and what makes one of them a whole floppy disk: in each sector its number."""
    rest = b"".join(b"\xff" * 4 + number.to_bytes(2, "little") + bytes(506)
                    for number in range(1, 2880))
    return {**guest_runs.with_snapshot(*FILES), "lab/guests/disk.rest": rest}


def screen_names() -> list[str]:
    """Guests after which the file `screen` is read."""
    return [*SCREENS, "boot_unknown_services", "boot_unknown_many"]


def script() -> str:
    """Those that wait have time; the endless ones have little. What these print stays off the slow
    console."""
    path = {name: f"/lab/guests/{stem}/{name}.bin"
            for stem in FILES for name in host_builds.names(stem)}
    lines = [f"export MODULE={MODULE}",
             "load $MODULE memory_mb=1 || fail 'insmod: $?'",
             f"cd {FOLDER}", "run() { lab-tool run 20000 $1 || fail 'lab-tool: $?'; }"]
    for name in screen_names():
        lines += [f"run {path[name]}", f"echo '@screen {name}'", "cat screen",
                  "echo '@unknown'", "grep '^unknown' exits", "echo @"]
    for name, keys in KEYS.items():
        lines += [f"echo '{keys}' >/sys/module/$MODULE/parameters/keys || fail keys",
                  f"run {path[name]}"]
    lines += ["cat /sys/module/$MODULE/parameters/keys",
              "echo >/sys/module/$MODULE/parameters/keys"]
    for size in SIZES:
        lines += [f"echo {size} >/sys/module/$MODULE/parameters/memory_mb",
                  f"cp {path[MAP]} /run/{MAP}_{size}.bin; run /run/{MAP}_{size}.bin"]
    lines += ["echo 1 >/sys/module/$MODULE/parameters/memory_mb", guest_runs.WITH_SNAPSHOT]
    for name, tail in TAILS.items():
        lines.append(f"{{ cat {path[name]}; {tail}; }} >/run/{name}.bin")
        path[name] = f"/run/{name}.bin"
    alone = [*screen_names(), *KEYS, MAP, "survivor"]
    late = [path[name] for name in ENDLESS]
    others = [path[name] for name in path if name not in [*alone, *ENDLESS]]
    return "\n".join([*lines, f"lab-tool run 20000 {' '.join(others)} || fail lab-tool",
                      "dmesg -n 5", f"lab-tool run {LIMIT_MS} {' '.join(late)} || fail lab-tool",
                      "cd /; unload $MODULE; rmmod snapshot; dmesg -n 8"])


boots = in_guest(GUESTS, script, name="guests in real mode", seconds=400, files=files)


@pytest.mark.parametrize("name", [name for name in host_builds.names(*FILES) if name not in [
    *ENDINGS, *ENDLESS, *SOMEHOW, MAP, "survivor"]])
@boots
def test_boot_guest_finds_what_it_was_promised(name: str, case: Case) -> None:
    run = run_of(case, name)
    line = re.fullmatch(r"the guest ended with status (0x[0-9a-f]+)", run.verdict)
    assert not line, f"the check in line {int(line[1], 16)} of {name}'s file failed; {case}"
    assert run.result > 0 and not run.verdict, f"{run}; {case}"
    assert name not in PRINTED or run.printed == PRINTED[name], run.printed


@pytest.mark.parametrize("name", list(ENDINGS))
@boots
def test_boot_guest_ends_with_a_word(name: str, case: Case) -> None:
    run = run_of(case, name)
    assert (run.result, run.error) == (-1, EIO), run
    assert re.fullmatch(ENDINGS[name], run.verdict), run


@pytest.mark.parametrize("name", ENDLESS)
@boots
def test_boot_guest_is_stopped(name: str, case: Case) -> None:
    run = run_of(case, name)
    assert (run.result, run.error) == (-1, ETIME), run
    assert re.fullmatch(STOPPED, run.verdict), run
    assert run.milliseconds <= LIMIT_MS + MORE_MS, run


@pytest.mark.parametrize("name", SOMEHOW)
@boots
def test_boot_guest_ends_somehow(name: str, case: Case) -> None:
    run = run_of(case, name)
    assert run.result > 0 or run.error in (EIO, ETIME), run
    assert bool(run.verdict) == (run.result < 0), run


def entry(begin: int, end: int, kind: int) -> str:
    """A piece of memory as the guest prints it: type, size, base."""
    return f"{kind:08x}{end - begin:016x}{begin:016x}"


@pytest.mark.parametrize("size", SIZES)
@boots
def test_memory_map_is_that_of_the_parameter(size: int, case: Case) -> None:
    map_ = [entry(0, 0xa0000, 1), entry(0xa0000, 0x100000, 2)]
    if size > 1:
        map_.append(entry(0x100000, size << 20, 1))
    run = run_of(case, f"{MAP}_{size}")
    assert run.printed == map_ and not run.verdict, run.printed


@boots
def test_keys_read_as_they_were_written(case: Case) -> None:
    assert "\n" + KEYS["boot_keys_echo"] + "\n" in case.output, case.output[:3000]


#: Lines of the screen that are not blank, after these guests.
LETTERS = "".join(chr(65 + i % 26) for i in range(80 * 26 + 5))
SCREENS = {
    "boot_screen_controls": {0: "one", 1: "Two", 2: " X", 3: "four", 4: "...~", 5: " z"},
    "boot_screen_scrolls": {i: LETTERS[80 * (i + 2):80 * (i + 3)] for i in range(25)},
    "boot_screen_last_place": {22: 79 * " " + "a", 23: 79 * " " + "b", 24: "c"},
    "boot_screen_direct": {0: "AB", 12: ". D", 24: 79 * " " + "C"},
    "boot_screen_wild_cursor": None,
}


def part(case: Case, begin: str, end: str) -> list[str]:
    """The lines of the output between two marks."""
    lines = case.output.splitlines()
    assert begin in lines, f"{case.output[:500]} {case}"
    first = lines.index(begin) + 1
    return lines[first:lines.index(end, first)]


@pytest.mark.parametrize("name", list(SCREENS))
@boots
def test_file_screen_shows_the_text_memory(name: str, case: Case) -> None:
    seen = part(case, f"@screen {name}", "@unknown")
    wanted = SCREENS[name]
    if wanted is None:  # anywhere on the screen, and nowhere else
        assert len(seen) == 25 and all(set(line) <= {"*", " "} for line in seen), seen
    else:
        assert seen == [wanted.get(i, "") for i in range(25)], seen


@boots
def test_unknown_services_are_counted(case: Case) -> None:
    seen = part(case, "@screen boot_unknown_services", "@")
    assert seen[seen.index("@unknown") + 1:] == [
        f"unknown  INT {vector:02x}h, AH = {ah:02x}h  {count}" for vector, ah, count in (
            (0x10, 0, 1), (0x10, 0x0f, 1), (0x10, 0xff, 1), (0x13, 3, 1), (0x13, 0x4b, 2),
            (0x15, 0x24, 1), (0x15, 0x86, 1), (0x16, 0x12, 1), (0x1a, 2, 1), (0x10, 0xbe, 1),
            *((vector, 0xbe, 1) for vector in (
                0x11, 0x12, 0x17, 0x18, 0x1b, 0x20, 0x21, 0x40, 0x80, 0xff)))], seen


@boots
def test_kinds_of_unknown_services_are_limited(case: Case) -> None:
    seen = part(case, "@screen boot_unknown_many", "@")
    assert seen[seen.index("@unknown") + 1:] == [
        f"unknown  INT 2fh, AH = {ah:02x}h  1" for ah in range(32)], seen


@boots
def test_boot_guests_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert [line for line in case.output.splitlines() if line.startswith("ok ")] == [
        "ok snapshot", "ok pages"] * 2, case.output[-2000:]
    assert len(guest_runs.runs(case, MODULE)) == (
        len(host_builds.names(*FILES)) - 2 + len(SIZES)), case
    assert "which nothing here handles" not in case.log, case


#: Every basic exit reason that these guests cause. In real mode VMX instructions do not exit: #UD
#: comes first. So VMLAUNCH (20) and VMXOFF (26) are tried in protected mode.
REASONS = {0, 1, 2, 9, 10, 12, 13, 15, 18, 20, 26, 28, 29, 30, 31, 32, 36, 39, 48, 52, 54}


@boots
def test_every_exit_reason_of_step_08_was_seen(case: Case) -> None:
    counts: Counter[int] = Counter()
    for run in guest_runs.runs(case, MODULE).values():
        counts.update(run.reasons)
    for reason, count in sorted(counts.items()):
        write_row("exit_reasons_real_mode", {"machine": case.guest.id(), "reason": reason,
                                             "seen": count}, ("machine", "reason"))
    assert set(counts) == REASONS, set(counts) ^ REASONS


#: What these guests do is done by the processor alone: no mode change, and no exception, exits.
ALONE = {"modes_quiet": set(), "faults_in_real_mode": {0, 10}}


@pytest.mark.parametrize("name", list(ALONE))
@boots
def test_boot_guest_does_not_leave(name: str, case: Case) -> None:
    """But for its disk (one VMCALL), to end, and when the host wants the processor."""
    reasons = run_of(case, name).reasons
    assert set(reasons) - {1, 52} == {18} | ALONE[name] and reasons[18] == 2, (reasons, case)
