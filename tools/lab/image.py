# SPDX-License-Identifier: GPL-2.0-only
"""What the emulated machine boots: an initramfs (busybox, modules, a script) on a CD image."""
from __future__ import annotations

import gzip
import hashlib
import stat
import subprocess
from pathlib import Path
from typing import Mapping, Union

from . import kernels, platforms, proc
from .common import BUILD, LabError, locked, shown, write_if_changed

Content = Union[bytes, str, Path]

#: Kernel command line of every boot. A panic stops the machine (the lab sees and explains it).
#: Without cryptomgr.notests, the self-tests of ciphers are half of the time to boot. jent_mod_init
#: measures whether the processor's clock is random enough, which costs two emulated seconds.
#: earlyprintk: what goes wrong before there is a console is heard. Our steps do not know FRED.
COMMAND_LINE = ("console=ttyS0,115200 tsc=reliable panic=0 nokaslr quiet printk.devkmsg=on"
                " log_buf_len=1M cryptomgr.notests initcall_blacklist=jent_mod_init rdinit=/init"
                " earlyprintk=ttyS0,115200 fred=off")

#: The first process. Kernel log and its console are ttyS0; ttyS1 carries a scenario's results.
INIT = b"""#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing
export PATH=/bin:/lab/bin HOME=/root TERM=xterm
dmesg -n 8
echo "@@READY $(uname -r)" >/dev/kmsg
sh /lab/scenario
sync
sleep 1
poweroff -f
sleep 10
"""

FOLDERS = ("bin", "dev", "etc", "lab", "lab/modules", "lab/bin", "proc", "root", "run", "sys",
           "tmp", "usr")


def pack(files: Mapping[str, Content], folders: tuple[str, ...] = (),
         links: Mapping[str, str] | None = None) -> bytes:
    """archive(), compressed by gzip -1."""
    return gzip.compress(archive(files, folders, links), 1, mtime=0)


def archive(files: Mapping[str, Content], folders: tuple[str, ...] = (),
            links: Mapping[str, str] | None = None) -> bytes:
    """A cpio archive (newc), all files owned by root.

    Written here rather than by cpio, so that the same input gives the same bytes and no file
    needs to be root's on the machine that runs the lab.
    """
    written = bytearray()
    seen: set[str] = set()

    def add(name: str, mode: int, data: bytes = b"") -> None:
        fields = (len(seen) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        seen.add(name)
        written.extend(header + b"\0" * (-len(header) % 4))
        written.extend(data + b"\0" * (-len(data) % 4))

    def add_folder(name: str) -> None:
        if name in ("", ".") or name in seen:
            return
        add_folder(str(Path(name).parent))
        add(name, stat.S_IFDIR | 0o755)

    for name in folders:
        add_folder(name)
    for name, target in (links or {}).items():
        add_folder(str(Path(name).parent))
        add(name, stat.S_IFLNK | 0o777, target.encode())
    for name, content in files.items():
        name = name.lstrip("/")
        add_folder(str(Path(name).parent))
        add(name, stat.S_IFREG | 0o755, _bytes(content))
    add("TRAILER!!!", 0)
    return bytes(written)


def _bytes(content: Content) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def base() -> Path:
    """The part of the initramfs that is the same in each boot, made once. Not compressed: to unpack
    it would take an emulated processor longer than all the rest of the boot."""
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        raise LabError("/bin/busybox is missing; package busybox-static has it (./lab setup).")
    source = Path(__file__).with_name("insmod.c")
    key = hashlib.sha256(busybox.read_bytes() + INIT + repr(FOLDERS).encode()
                         + source.read_bytes()).hexdigest()[:12]
    path = BUILD / "cache" / f"initramfs-base-{key}.cpio"
    with locked(BUILD / "cache" / "initramfs.lock"):
        if not path.exists():
            insmod = BUILD / "cache" / "insmod"
            log = insmod.with_suffix(".log")
            if proc.run_logged([platforms.debian().compiler, "-static", "-O2", "-Wall", "-o",
                                str(insmod), str(source)], log) != 0:
                raise LabError(f"insmod.c does not compile. Log: {shown(log)}")
            write_if_changed(path, archive({"bin/busybox": busybox, "init": INIT,
                                            "lab/bin/insmod": insmod}, FOLDERS,
                                           links_to(busybox)))
    return path


def links_to(busybox: Path) -> dict[str, str]:
    """Its commands, as links to bin/busybox."""
    return {**{f"bin/{name}": "busybox" for name in _applets(busybox)}, "sbin": "bin"}


def _applets(busybox: Path) -> list[str]:
    """The commands that this busybox has."""
    listed = subprocess.run([str(busybox), "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return [name for name in listed.stdout.split() if name not in ("busybox", "init")]


def make_iso(target: Path, kernel: kernels.Image, files: Mapping[str, Content],
             command_line: str = "") -> None:
    """Writes a bootable CD image with a kernel, the base and a boot's own files."""
    write_iso(target, kernel.vmlinuz, {"base.cpio": base(), "extra.cpio": archive(files)},
              f"{COMMAND_LINE} {command_line}")


def write_iso(target: Path, kernel: Path, initrds: Mapping[str, Content],
              command_line: str) -> None:
    """Writes a bootable CD image with a kernel, its command line, and its initrds in this order.
    """
    folder = target.parent / "cd"
    (folder / "isolinux").mkdir(parents=True, exist_ok=True)
    for source in (Path("/usr/lib/ISOLINUX/isolinux.bin"),
                   Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")):
        if not source.exists():
            raise LabError(f"{source} is missing; packages isolinux and syslinux-common have it"
                           " (./lab setup).")
        (folder / "isolinux" / source.name).write_bytes(source.read_bytes())
    grafts = [f"vmlinuz={kernel}"]
    for name, content in initrds.items():
        if not isinstance(content, Path):
            (folder / name).write_bytes(_bytes(content))
        else:
            grafts.append(f"{name}={content}")
    (folder / "isolinux" / "isolinux.cfg").write_text(
        "default lab\nprompt 0\nlabel lab\n  kernel /vmlinuz\n"
        f"  initrd {','.join(f'/{name}' for name in initrds)}\n"
        f"  append {command_line}\n", encoding="ascii")
    log = target.parent / "xorriso.log"
    status = proc.run_logged(
        ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", str(target),
         "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
         "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-graft-points",
         str(folder), *grafts], log)
    if status != 0:
        raise LabError(f"xorriso could not make the boot CD. Log: {shown(log)}")
