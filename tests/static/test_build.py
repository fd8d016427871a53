# SPDX-License-Identifier: GPL-2.0-only
"""How the modules build: without a warning, once, in parallel, and for all header trees."""
from __future__ import annotations

import concurrent.futures
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from lab import build, compile_commands, kernels, proc, steps
from lab.common import BUILD, ROOT, SHARED, module_name
from trees import STEPS, Tree, copy_sources, make

#: Exported today, but since Linux 6.19 (commit 6276c67f2bc4, "x86: Restrict KVM-induced symbol
#: exports to KVM modules") for KVM's own modules only.
KEPT_FOR_KVM = {
    "cr4_update_irqsoff", "cr4_read_shadow", "load_direct_gdt", "asm_exc_nmi_noist",
    "asm_exc_nmi_kvm_vmx", "cpu_emergency_register_virt_callback",
    "cpu_emergency_unregister_virt_callback", "x86_virt_register_emergency_callback",
    "x86_virt_unregister_emergency_callback", "__get_current_cr3_fast", "__flush_tlb_all",
    "switch_fpu_return", "fpregs_assert_state_consistent", "hw_breakpoint_restore",
    "intel_pt_handle_vmx", "msr_set_bit", "msr_clear_bit", "l1tf_vmx_mitigation", "write_ibpb",
    "x86_verw_sel",
}


@pytest.fixture(scope="module", params=kernels.ALL)
def tree(request: pytest.FixtureRequest, built: Callable[[str], Tree]) -> Tree:
    """The steps, built from nothing for each kernel."""
    return built(request.param)


def test_build_is_silent(tree: Tree) -> None:
    """No word from the compilers, objtool or modpost: nothing but kbuild's own progress."""
    usual = re.compile(r"make(\[\d+\])?: |  (CC|CXX|AS|LD|MODPOST|HOSTCC|BTF|CHECK)\b"
                       r"|Skipping BTF generation .* unavailability of vmlinux"
                       # Linux 7 says so where pahole, which modules do not need, is not installed.
                       r"|warning: pahole version|  (The kernel was built with|You are using):")
    talk = {name: lines for name, output in tree.outputs.items()
            if (lines := [line for line in output.splitlines() if not usual.match(line)])}
    assert not talk


#: Options that decide how code behaves beside other code of the kernel: no red zone below the stack
#: pointer (interrupts use it), no SSE, ENDBR64, thunks against speculation, stack checks.
FOR_THE_KERNEL = re.compile(r"-m\S+|-f(?:cf-|no-jump|stack|patchable|no-red|function-|no-PIE"
                            r"|no-strict-overflow)\S*")


def kernel_options(tree: Tree, source: Path) -> set[str]:
    """The options of that kind in what kbuild remembers of compiling a step's file."""
    command_file = tree.folder / source.relative_to(ROOT).with_name(f".{source.stem}.o.cmd")
    line = command_file.read_text(encoding="utf-8").splitlines()[0]
    return {word for word in line.split() if FOR_THE_KERNEL.fullmatch(word)}


def test_cxx_is_compiled_as_the_kernels_c(tree: Tree) -> None:
    ibt = "CONFIG_X86_KERNEL_IBT=y" in (tree.kdir / "include/config/auto.conf").read_text("ascii")
    for step in tree.steps:
        sources = steps.files(step)
        in_c = kernel_options(tree, sources["module.c"])
        assert {"-mno-red-zone", "-mno-sse", "-mcmodel=kernel"} <= in_c, in_c
        assert ("-fcf-protection=branch" in in_c) == ibt, in_c
        assert kernel_options(tree, sources["step.cpp"]) == in_c


def test_module_is_where_the_reader_is_told(tree: Tree) -> None:
    assert not [step.name for step in tree.steps
                if not (tree.folder / step.name / f"{module_name(step)}.ko").exists()]


def test_second_make_does_nothing(tree: Tree) -> None:
    """Looked at in the last step, which has every kind of file."""
    said = tree.make(tree.steps[-1]).stdout
    assert "Entering directory" in said
    assert not re.findall(r"^  (?:CC|CXX|AS|LD) .*$", said, re.MULTILINE)


def sections_twice(module: Path) -> list[str]:
    """Names that two sections of a module have, of those that Linux loads and shows in sysfs.

    (Some linkers leave a second .note.GNU-stack, which nobody loads.)
    """
    listed = subprocess.run(["readelf", "--section-headers", "--wide", str(module)], text=True,
                            stdout=subprocess.PIPE, check=True).stdout
    names = re.findall(r"^ *\[ *\d+\] (\S+) +\w+ +[0-9a-f]{16} [0-9a-f]+ [0-9a-f]+ [0-9a-f]+ +W?A",
                       listed, re.MULTILINE)
    assert ".text" in names, listed
    return sorted({name for name in names if names.count(name) > 1})


def test_no_section_is_there_twice(tree: Tree) -> None:
    """Else insmod ends with EEXIST. Looks at every module built here, and at all of the lab's."""
    modules = [*tree.folder.rglob("*.ko"), *(BUILD / "kbuild" / tree.kernel).rglob("*.ko")]
    assert len(modules) >= len(tree.steps)
    assert not {module.name: twice for module in modules if (twice := sections_twice(module))}


def test_per_cpu_data_holds_no_address(tree: Tree) -> None:
    """Linux relocates none in a module's per-CPU data, so it would be null, or no longer right."""
    with_addresses = [step.name for step in tree.steps if b"\0.rela.data..percpu\0" in
                      (tree.folder / step.name / f"{module_name(step)}.ko").read_bytes()]
    assert not with_addresses


def test_nothing_of_a_module_can_be_traced(tree: Tree) -> None:
    """ftrace finds the functions that it can trace in a section of this name."""
    with_entries = [step.name for step in tree.steps if b"__mcount_loc\0" in
                    (tree.folder / step.name / f"{module_name(step)}.ko").read_bytes()]
    assert not with_entries


def test_sections_of_one_name_are_joined(scratch: Path) -> None:
    """Two groups, each with a section of the same name: newer compilers make them for every inline
    function. Here they are made by hand, so that this compiler shows what the linker does."""
    step = STEPS[0]
    copy_sources(scratch, [step])
    with open(scratch / step.name / "step.cpp", "a", encoding="utf-8") as file:
        for group in ("one", "two"):
            file.write(f'asm(".pushsection vtx_twice,\\"aG\\",@progbits,{group},comdat;'
                       ' .byte 1; .popsection");\n')
    module = scratch / step.name / f"{module_name(step)}.ko"
    kdir = kernels.headers(kernels.DEFAULT)
    for words, twice in (([], []), (["ldflags-y="], ["vtx_twice"])):
        assert make(scratch / step.name, kdir, "clean").returncode == 0
        result = make(scratch / step.name, kdir, *words)
        assert result.returncode == 0, result.stdout
        assert sections_twice(module) == twice


def undefined_symbols(module: Path) -> list[str]:
    """What the module wants from the kernel."""
    listed = subprocess.run(["nm", "-u", str(module)], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    return sorted(line.split()[-1] for line in listed.splitlines() if line.strip())


def test_only_symbols_for_all_modules_are_used(tree: Tree) -> None:
    """Each is EXPORT_SYMBOL or EXPORT_SYMBOL_GPL without a namespace, and stays so after 6.19."""
    exports = {}
    for line in (tree.kdir / "Module.symvers").read_text(encoding="ascii").splitlines():
        fields = line.split("\t")
        exports[fields[1]] = (fields[3], fields[4] if len(fields) > 4 else "")
    used = {step.name: undefined_symbols(tree.folder / step.name / f"{module_name(step)}.ko")
            for step in tree.steps}
    allowed = {("EXPORT_SYMBOL", ""), ("EXPORT_SYMBOL_GPL", "")}
    wrong = {name: [symbol for symbol in symbols if exports.get(symbol) not in allowed
                    or symbol in KEPT_FOR_KVM] for name, symbols in used.items()}
    assert not {name: symbols for name, symbols in wrong.items() if symbols}


def test_clean_leaves_sources_only(tree: Tree, scratch: Path) -> None:
    copy = scratch / "tree"
    shutil.copytree(tree.folder, copy)
    for step in tree.steps:
        result = make(copy / step.name, tree.kdir, "clean")
        assert result.returncode == 0, result.stdout
    left = sorted(str(path.relative_to(copy)) for path in copy.rglob("*")
                  if path.is_file() and path.suffix != ".ci")  # a report that these tests ask for
    wanted = sorted(str(folder.relative_to(ROOT) / name) for folder in [*SHARED, *tree.steps]
                    for name in build.sources(folder))
    assert left == wanted


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_missing_headers_are_explained(step: Path) -> None:
    """One sentence has the command that needs none. (Packages' names: test_check.py.)"""
    result = make(step, "/nowhere/build")
    assert result.returncode != 0
    said = [line for line in result.stdout.splitlines() if not line.startswith("make")]
    assert len(said) == 1, result.stdout
    assert said[0].startswith("No kernel build tree") and f"./lab run {step.name[4:6]}" in said[0]


@pytest.mark.parametrize("words, says", [
    ((), "which this kernel never runs"),
    (("CONFIG_CONSTRUCTORS=y",), "which only kernels like this one run")])
def test_static_constructor_breaks_the_build(words: tuple[str, ...], says: str,
                                             scratch: Path) -> None:
    """It would compile, load, and on most kernels never run; the message names the file."""
    step = STEPS[0]
    copy_sources(scratch, [step])
    with open(scratch / step.name / "step.cpp", "a", encoding="utf-8") as file:
        file.write("namespace { struct Late { long v = static_cast<long>(__builtin_ia32_rdtsc());"
                   " }; Late late; }\nlong vtx_test_late() { return late.v; }\n")
    result = make(scratch / step.name, kernels.headers(kernels.DEFAULT), *words)
    assert result.returncode != 0
    assert any("step.cpp" in line and "constructor" in line and "static" in line and says in line
               for line in result.stdout.splitlines()), result.stdout


def test_kernel_with_kasan_and_gcov(scratch: Path) -> None:
    """Both instrument whatever a module's own Kbuild does not except, and add constructors."""
    copy_sources(scratch, [STEPS[0]])
    result = make(scratch / STEPS[0].name, kernels.headers(kernels.DEFAULT),
                  "CONFIG_CONSTRUCTORS=y", "CONFIG_GCOV_KERNEL=y", "CONFIG_GCOV_PROFILE_ALL=y",
                  "CONFIG_KASAN=y",
                  "CFLAGS_GCOV=-fprofile-arcs -ftest-coverage",
                  "CFLAGS_KASAN=-fsanitize=kernel-address --param asan-globals=1")
    assert result.returncode == 0, result.stdout


def test_make_without_kernel_headers_says_what_to_do(scratch: Path) -> None:
    steps.copy(ROOT / "step04-launch", scratch / "mine")
    for folder, lab in ((ROOT / "step00-makefile", "./lab run 00"),
                        (ROOT / "step04-launch", "./lab run 04"), (scratch / "mine", None)):
        result = subprocess.run(["make", "-C", folder, "KDIR=/nowhere"], text=True, check=False,
                                capture_output=True)
        assert result.returncode != 0
        assert "No kernel build tree at /nowhere: " in result.stderr
        assert (lab or "KDIR=.\n") in result.stderr
        assert ("./lab" in result.stderr) == bool(lab), "a copy has no lab"


def test_copy_builds_where_it_lies(scratch: Path) -> None:
    """The last step, which has every kind of file."""
    step = STEPS[-1]
    steps.copy(step, scratch / "mine")
    result = make(scratch / "mine", kernels.headers(kernels.DEFAULT), "-j2")
    assert result.returncode == 0, result.stdout
    assert (scratch / "mine" / f"{module_name(step)}.ko").exists()


@pytest.fixture(scope="module")
def commands() -> list[dict[str, object]]:
    """What ./lab compile-commands would write."""
    build.build(kernels.DEFAULT, STEPS, yes=True)
    return compile_commands.entries(kernels.DEFAULT)


def test_compile_commands_name_every_source(commands: list[dict[str, object]]) -> None:
    listed = {entry["file"] for entry in commands}
    wanted = {str(steps.files(step)[name]) for step in STEPS for name in ("module.c", "step.cpp")}
    assert wanted <= listed
    assert all(Path(str(name)).exists() for name in listed)


def test_clang_tidy_is_kept(commands: list[dict[str, object]], scratch: Path) -> None:
    """Through compile_commands.json, as clangd reads it, on every step's C++ and all it includes.

    The static analyzer begins at each function of each file, not only at those of step.cpp, and
    follows fewer ways from each than by default: so it sees more of the headers in less time.
    """
    (scratch / "compile_commands.json").write_text(json.dumps(commands), encoding="utf-8")
    clang = ["-Xclang", "-analyzer-opt-analyze-headers", "-Xclang", "-analyzer-config",
             "-Xclang", "max-nodes=4000", "-H"]

    def tidy(step: Path) -> str:
        log = scratch / f"{step.name}.log"
        proc.run_logged(["clang-tidy", "-p", str(scratch), "--quiet",
                         *(f"--extra-arg={word}" for word in clang),
                         str(steps.files(step)["step.cpp"])], log)
        return log.read_text(encoding="utf-8")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        said = "".join(pool.map(tidy, reversed(STEPS))).replace(f"{ROOT}/", "")
    complaints = re.findall(r"^(?:\S.*: |)(?:error|warning): .*$", said, re.MULTILINE)
    if complaints:
        pytest.fail("\n".join(sorted(set(complaints))), pytrace=False)
    included = re.findall(r"^\.+ (\S+)$", said, re.MULTILINE)
    read = {(ROOT / name).read_bytes() for name in included}
    unread = [str(path.relative_to(ROOT)) for folder in [*SHARED, *STEPS]
              for path in sorted(folder.rglob("*.hpp")) if path.read_bytes() not in read]
    assert not unread
