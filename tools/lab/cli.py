# SPDX-License-Identifier: GPL-2.0-only
"""The command line of ./lab: reads it, calls what it names, turns errors into sentences."""
from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from . import bochs, build, kernels, proc, run, shell, ui
from .common import LabError, choose_steps

EPILOG = """\
Start with:
  ./lab run           everything: install what is missing, build, boot, all steps in turn
  ./lab run 04        one step
  ./lab shell         a shell in the emulated PC, with all modules at hand
  ./lab check         what this machine can do
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./lab", description="Builds VtxTutorial's steps and runs them in an emulated PC.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".",
            epilog="Examples:\n" + examples,
            formatter_class=argparse.RawDescriptionHelpFormatter)

    one = command("run", "build, boot, load and unload the steps, showing their logs", """\
  ./lab run                          all steps, Linux 6.1 on a Haswell
  ./lab run 01 --cpu penryn          one step on a CPU of 2008
  ./lab run 04 --param spoil=host    with a module parameter
  ./lab run --kernel 6.12 --cpus 2
""")
    _steps(one)
    _machine(one)
    one.add_argument("--param", action="append", default=[], metavar='"NAME=VALUE …"',
                     help="module parameters, given to each chosen step's insmod")
    one.add_argument("--verbose", action="store_true", help="show the kernel's other lines, too")
    one.set_defaults(call=lambda args: run.run(choose_steps(args.steps), _chosen_machine(args),
                                               args.param, args.yes, args.verbose))

    one = command("shell", "boot to a shell on this terminal, with all modules at hand", """\
  ./lab shell                        Ctrl-] or `poweroff -f` leaves
  ./lab shell --cpu skylake --cpus 2
  ./lab shell --file guest.bin       puts a file of yours into /root
""")
    _machine(one)
    one.add_argument("--file", action="append", default=[], metavar="FILE",
                     help="put a file into the guest's /root (may be repeated)")
    one.set_defaults(call=lambda args: shell.run(_chosen_machine(args), args.file, args.yes))

    one = command("build", "build the steps' modules in build/kbuild/", """\
  ./lab build                        all steps for Linux 6.1
  ./lab build 03 04 --kernel 6.12-generic
""")
    _steps(one)
    one.add_argument("--kernel", default=kernels.DEFAULT, metavar="|".join(kernels.ALL))
    _yes(one)
    one.set_defaults(call=_build)
    return parser


def _steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("steps", nargs="*", metavar="NN", help="steps, such as 04 (default: all)")


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true",
                        help="do not ask before installing what is missing")


def _machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kernel", default=kernels.DEFAULT, metavar="|".join(kernels.BOOTABLE),
                        help=f"Debian kernel to boot (default: {kernels.DEFAULT})")
    parser.add_argument("--cpu", default=bochs.DEFAULT_CPU, metavar="MODEL",
                        help=f"CPU to emulate (default: {bochs.DEFAULT_CPU}); one of "
                        + ", ".join(bochs.CPU_ALIASES) + ", or any model of Bochs")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="how many (default: 1)")
    _yes(parser)


def _chosen_machine(args: argparse.Namespace) -> bochs.Machine:
    return bochs.Machine(kernel=args.kernel, cpu=args.cpu, cpus=args.cpus)


def _build(args: argparse.Namespace) -> int:
    kernels.check_name(args.kernel)
    for item in build.build(args.kernel, choose_steps(args.steps), args.yes):
        notes = f", {item.warnings} warnings" if item.warnings else ""
        ui.say(f"  {item.module.relative_to(build.tree(args.kernel))}: {item.seconds:.1f} s{notes}")
    return 0


def _interrupted(number: int, frame: Any) -> None:
    """Ctrl-C and friends: children are told at once, then Python unwinds."""
    proc.interrupt()
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    parser = _parser()
    args = parser.parse_args(arguments)
    if not args.command:
        parser.print_help()
        return 0
    try:
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
