# SPDX-License-Identifier: GPL-2.0-only
# long-file: every command of ./lab, one after the other.
"""The command line of ./lab: reads it, calls what it names, turns errors into sentences."""
from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any, Callable

from . import (bench, bench_late, bench_linux, bochs, build, check, clean, compile_commands,
               container, debug, docs, grade, kernels, linux, machine, packages, platforms, proc,
               qemu, run, shell, steps, test, ui)
from .common import LabError, UsageError, choose_steps

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser

EPILOG = """\
Start with:
  ./lab run           everything: install what is missing, build, boot, all steps in turn
  ./lab run 04        one step
  ./lab linux         a Linux that runs as a guest of step 10, and you type into it
  ./lab shell         a shell in the emulated PC, with all modules at hand
  ./lab check         what this machine can do
Each command has its own --help, with examples.
"""


class _Commands:
    """Collects the commands: a summary, examples, and what carries each out."""

    def __init__(self, parser: Parser) -> None:
        self._commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(self, name: str, summary: str, examples: str, call: Callable[[Arguments], int],
            debian: bool = True) -> Parser:
        """A new command; `debian` if it needs the packages of a Debian of platforms.toml."""
        parser = self._commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".",
            epilog="Examples:\n" + examples,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.set_defaults(call=call, debian=debian)
        if debian:
            parser.add_argument("--yes", "-y", action="store_true",
                                help="do not ask before installing what is missing")
        return parser


def _parser() -> Parser:
    parser = argparse.ArgumentParser(
        prog="./lab", description="Builds VtxTutorial's steps and runs them in an emulated PC.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = _Commands(parser)
    _add_guest_commands(commands)
    _add_step_commands(commands)
    _add_exercise_commands(commands)
    _add_house_commands(commands)
    return parser


def _add_guest_commands(commands: _Commands) -> None:
    one = commands.add("run", "build, boot, load and unload the steps, showing their logs", """\
  ./lab run                          all steps, Debian's kernel on a Haswell
  ./lab run 01 --cpu penryn          one step on a CPU of 2008
  ./lab run 04 --param spoil=host    with a module parameter
  ./lab run --kernel stable --cpus 2 another of Debian's kernels, by role or number
  ./lab run 04 --kvm                 on this machine's own VT-x, in a virtual machine
""", lambda args: run.run(choose_steps(args.steps), _machine(args), args.param, args.yes,
                          args.verbose))
    _take_steps(one)
    _take_machine(one)
    one.add_argument("--param", action="append", default=[], metavar='"NAME=VALUE …"',
                     help="module parameters, given to each chosen step's insmod")
    one.add_argument("--kvm", action="store_true",
                     help="boot in QEMU with KVM instead of Bochs: an Intel processor executes the"
                     " VMX instructions (never run by us: please report what happens)")
    one.add_argument("--verbose", action="store_true", help="also show the kernel's own lines")

    one = commands.add("debug", "run a step under Bochs's debugger, stopping at every VM exit", """\
  ./lab debug 04
  ./lab debug 04 --param spoil=guest
""", lambda args: debug.run(choose_steps([args.step])[0], _machine(args), args.param, args.yes))
    one.add_argument("step", metavar="NN")
    _take_machine(one)
    one.add_argument("--param", action="append", default=[], metavar='"NAME=VALUE …"',
                     help="module parameters for insmod")

    one = commands.add("shell", "boot to a shell on this terminal, with all modules at hand", """\
  ./lab shell                        Ctrl-] or `poweroff -f` leaves
  ./lab shell --cpu skylake --cpus 2
  ./lab shell --file guest.bin       puts a file of yours into /root
""", lambda args: shell.run(_machine(args), args.file, args.yes))
    _take_machine(one)
    one.add_argument("--file", action="append", default=[], metavar="FILE",
                     help="put a file into the guest's /root (may be repeated)")

    one = commands.add("linux", "boot a Linux as a guest of step 10, on this terminal", f"""\
  ./lab linux                        Ctrl-] leaves; `exit` ends the guest
  ./lab linux --memory 256 --cmdline "{linux.COMMAND_LINE} quiet"
  ./lab linux --kernel stable        another of Debian's kernels, by role or number
  ./lab linux --initrd my.cpio.gz    a userland of your own
""", lambda args: linux.run(_guest(args), args.yes))
    _take_kernel(one, kernels.BOOTABLE)
    one.add_argument("--cmdline", default=linux.COMMAND_LINE, metavar="TEXT",
                     help=f"the guest's kernel command line (default: {linux.COMMAND_LINE})")
    one.add_argument("--initrd", type=Path, metavar="FILE",
                     help="the guest's initrd (default: a small one of the lab's, with busybox)")
    one.add_argument("--memory", type=int, default=linux.MEMORY, metavar="MB",
                     help=f"the guest's RAM in MiB, 1 to 512 (default: {linux.MEMORY})")

    one = commands.add("test", "run every test, and close with one count", """\
  ./lab test                         all of them
  ./lab test -k vmxon                those whose name holds a word
  ./lab test -k "step04 and stable"
  ./lab test --accept                write stepNN/expected/ anew from a real run
""", lambda args: test.run(args.k, args.accept, args.yes))
    one.add_argument("-k", default="", metavar="EXPR", help="only tests that match (as in pytest)")
    one.add_argument("--accept", action="store_true",
                     help="from now on expect what the steps log now")

    one = commands.add("soak", "run random guests, hotplug and NMIs for up to 20 minutes", """\
  ./lab soak                         of steps 05 and 06
  ./lab soak 07                      of step 07: 100,000 random guests, up to an hour
  ./lab soak 08                      of step 08: the same in real mode
  ./lab soak 09                      of step 09: the same with interrupts
  ./lab soak 10                      of step 10: Linux on two processors, in turn
  ./lab soak 11                      of step 11: programs, hotplug and NMIs of the Linux that it has
  ./lab soak answers                 wrong answers to the exercises, each with its explanation
""", lambda args: test.soak(args.step or "", args.yes))
    one.add_argument("step", metavar="NN", nargs="?",
                     choices=["07", "08", "09", "10", "11", "answers"],
                     help="a step with its own, or answers")

    one = commands.add("bench", "measure what a VM exit costs: the floor, step 05, KVM", """\
  ./lab bench                        in the emulated PC, where a tick is an instruction
  ./lab bench --kernel stable --json
  ./lab bench --here                 on this machine's own VT-x, in cycles: loads modules here
  ./lab bench --linux                a whole boot of Linux, under step 10 and under KVM
  ./lab bench --late                 what it costs Linux to be the guest of step 11
  ./lab bench --accept               write bench/figures.json, for the book and the tests
""", _bench)
    _take_machine(one)
    where = one.add_mutually_exclusive_group()
    where.add_argument("--here", action="store_true",
                       help="on this machine, not in the emulated PC")
    where.add_argument("--linux", action="store_true", help="the boot of a Linux, not single exits")
    where.add_argument("--late", action="store_true",
                       help="programs of a Linux that has become a guest, and its way there")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.add_argument("--accept", action="store_true", help="write the figures into the tree")


def _add_step_commands(commands: _Commands) -> None:
    one = commands.add("build", "build the steps' modules in build/kbuild/", """\
  ./lab build                        all steps for Debian's kernel
  ./lab build 03 04 --kernel stable-generic
  ./lab build --kernel all           for each kernel that the lab boots
""", _build)
    _take_steps(one)
    _take_kernel(one, kernels.ALL)

    one = commands.add("diff", "show what a step changes", """\
  ./lab diff 04 05                   every lesson file that differs
  ./lab diff 04 05 --stat            only their names
  ./lab diff 04 05 step.cpp
""", lambda args: steps.diff(*choose_steps([args.old]), *choose_steps([args.new]), args.files,
                             args.all, args.stat), debian=False)
    one.add_argument("old", metavar="NN")
    one.add_argument("new", metavar="MM")
    one.add_argument("files", nargs="*", metavar="FILE")
    one.add_argument("--stat", action="store_true", help="show only the names of the files")
    one.add_argument("--all", action="store_true", help="also compare README.md and expected/")

    one = commands.add("sync", "carry an edit forward to the later steps' identical copies", """\
  ./lab sync --dry-run               says what it would copy
  ./lab sync
""", lambda args: steps.sync(args.dry_run), debian=False)
    one.add_argument("--dry-run", action="store_true", help="change nothing")

    one = commands.add("copy", "make a free-standing copy of a step, shared files included", """\
  ./lab copy 05 ~/my-hypervisor      then: make -C ~/my-hypervisor
""", lambda args: steps.copy(choose_steps([args.step])[0], Path(args.folder)), debian=False)
    one.add_argument("step", metavar="NN")
    one.add_argument("folder", metavar="DIR", help="a folder that does not exist yet")

    one = commands.add("compile-commands", "write compile_commands.json, for clangd", """\
  ./lab compile-commands             then open a step's file in an editor with clangd
""", lambda args: compile_commands.run(
        kernels.check_name(args.kernel), args.yes))
    _take_kernel(one, kernels.ALL)


def _add_exercise_commands(commands: _Commands) -> None:
    one = commands.add("exercise", "begin an exercise in a folder of its own, or list all", """\
  ./lab exercise                     all exercises
  ./lab exercise 01-1                makes exercises/work/01-1/, and shows the task
  ./lab exercise 01-1 --again        begins anew
""", lambda args: grade.start(args.number, args.again), debian=False)
    one.add_argument("number", nargs="?", default="", metavar="NN-N")
    one.add_argument("--again", action="store_true",
                     help="make the folder again, and keep the old one beside it")

    one = commands.add("grade", "build your exercise, run it, and say what is wrong", """\
  ./lab grade                        the one that you touched last
  ./lab grade 01-1
  ./lab grade 01-1 --hint            a hint; run it again for the next one
""", lambda args: grade.run(args.number, args.hint, args.yes))
    one.add_argument("number", nargs="?", default="", metavar="NN-N")
    one.add_argument("--hint", action="store_true", help="give a hint instead of a verdict")

    commands.add("progress", "list the exercises, and which of them are done", """\
  ./lab progress
""", lambda args: grade.list_all(), debian=False)


def _add_house_commands(commands: _Commands) -> None:
    commands.add("check", "say what this machine can do, without changing anything", """\
  ./lab check
""", lambda args: check.run(), debian=False)

    one = commands.add("setup", "install what is missing (run and test do it by themselves)", """\
  ./lab setup                        all that any command needs
  ./lab setup build lab              what ./lab run needs
  ./lab setup --print                only the apt line for what is missing
""", _setup)
    one.add_argument("groups", nargs="*", metavar="GROUP",
                     help=f"of {', '.join(packages.groups())} (default: all)")
    one.add_argument("--print", action="store_true", help="print the apt line, install nothing")

    one = commands.add("docs", "build the book", """\
  ./lab docs
  ./lab docs --open                  and shows it in a browser
  ./lab docs --all                   an e-book and one long page for printing, too
""", _docs, debian=False)  # on other systems it tries, and names what is missing
    one.add_argument("--yes", "-y", action="store_true",
                     help="do not ask before installing what is missing")
    one.add_argument("--open", action="store_true", help="open the book in a browser")
    one.add_argument("--all", action="store_true", help="also build an e-book and one long page")

    one = commands.add("clean", "remove what was built", """\
  ./lab clean                        keeps the downloaded kernels
  ./lab clean --all
""", lambda args: clean.run(args.all), debian=False)
    one.add_argument("--all", action="store_true", help="also remove the downloads")


def _take_steps(parser: Parser) -> None:
    parser.add_argument("steps", nargs="*", metavar="NN", help="steps, such as 04 (default: all)")


def _take_kernel(parser: Parser, known: tuple[str, ...]) -> None:
    parser.add_argument(
        "--kernel", default=kernels.DEFAULT, metavar="|".join(known),
        help="Debian kernel, by role or number: "
        + ", ".join(f"{role} is {kernels.number(role)}" for role in kernels.BOOTABLE)
        + f" (default: {kernels.DEFAULT})")


def _take_machine(parser: Parser) -> None:
    _take_kernel(parser, kernels.BOOTABLE)
    parser.add_argument("--cpu", default="", metavar="MODEL",
                        help=f"CPU to emulate (default: {bochs.DEFAULT_CPU}); one of "
                        + ", ".join(platforms.cpu_models()) + ", or any model of Bochs")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="how many (default: 1)")


def _machine(args: Arguments) -> machine.Machine:
    kernel = kernels.check_name(args.kernel, kernels.BOOTABLE)
    if "kvm" in args and args.kvm:
        if args.cpu:
            raise UsageError("--cpu and --kvm do not go together: KVM has this machine's own"
                             " processor, and no other.")
        return qemu.Machine(kernel=kernel, cpus=args.cpus)
    return bochs.Machine(kernel=kernel, cpu=args.cpu or bochs.DEFAULT_CPU, cpus=args.cpus)


def _guest(args: Arguments) -> linux.Guest:
    return linux.Guest(kernels.check_name(args.kernel, kernels.BOOTABLE), args.cmdline, args.initrd,
                       args.memory)


def _build(args: Arguments) -> int:
    chosen = kernels.BOOTABLE if args.kernel == "all" else (kernels.check_name(args.kernel),)
    for kernel in chosen:
        for item in build.build(kernel, choose_steps(args.steps), args.yes):
            notes = f", {item.warnings} warnings" if item.warnings else ""
            ui.say(f"  {item.module.relative_to(build.tree(kernel))}: {item.seconds:.1f} s{notes}")
    return 0


def _bench(args: Arguments) -> int:
    if args.linux:
        return bench_linux.run(_machine(args), args.json, args.accept, args.yes)
    if args.late:
        return bench_late.run(_machine(args), args.json, args.accept, args.yes)
    return bench.run(_machine(args), args.here, args.json, args.accept, args.yes)


def _setup(args: Arguments) -> int:
    groups = args.groups or list(packages.groups())
    for group in groups:
        if group not in packages.groups():
            raise UsageError(f"There is no group {group!r}; the groups are"
                             f" {', '.join(packages.groups())}.")
    names = packages.needed(groups)
    missing = packages.missing(names)
    if not missing:
        ui.say("Nothing is missing.")
    elif args.print:
        ui.say(packages.install_line(missing))
    else:
        packages.ensure(missing, args.yes)
        ui.say("All that is needed is installed.")
    return 0


def _docs(args: Arguments) -> int:
    """Builds the book."""
    return docs.run(args.yes, every_form=args.all, show=args.open)


def _interrupted(number: int, frame: Any) -> None:
    """Ctrl-C and friends: children are told at once, then Python unwinds."""
    proc.interrupt()
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    words = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    args = parser.parse_args(words)
    if not args.command:
        parser.print_help()
        return 0
    try:
        if args.debian and not platforms.here():
            return container.offer(words, args.yes)
        return args.call(args)
    except LabError as error:
        ui.warn(ui.red("lab: ") + str(error))
        return error.status
    except (KeyboardInterrupt, proc.Interrupted):
        ui.warn("\nlab: stopped; nothing is left running.")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    finally:
        proc.stop_all()
