#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proves the README's commands on a fresh Debian 12: makes a minimal tree by debootstrap, clones this
# checkout's last commit into it, and runs ./lab run, docs and test there in a chroot.
#
#   sudo tests/fresh-debian.sh [FOLDER]     FOLDER must not exist; default: build/fresh-debian
#
# VTX_KEEP=1 keeps the tree. VTX_ONLY="run docs" leaves ./lab test out.
set -euo pipefail

case "${1:-}" in -*) sed -n '4,9s/^# \?//p' "$0"; exit 2 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
tree=$(realpath -m "${1:-$here/build/fresh-debian}")
log=$tree.log

say() { echo "[$(date +%H:%M:%S)] $*"; }
fail() { echo "fresh-debian: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "debootstrap and chroot need root; run it by sudo."
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
[ ! -e "$tree" ] || fail "$tree exists already; remove it or name another folder."
[ -z "$(git -c safe.directory='*' -C "$here" status --porcelain)" ] \
    || say "Note: what is not committed is not tested."

# The mirror that this machine's apt uses for bookworm.
mirror=$(apt-cache policy 2>/dev/null | sed -n 's|.* \(https\?://[^ ]*\) bookworm/main .*|\1|p' | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian}
security=$(apt-cache policy 2>/dev/null \
    | sed -n 's|.* \(https\?://[^ ]*\) bookworm-security/main .*|\1|p' | head -n 1)
security=${security:-http://deb.debian.org/debian-security}

unmount() {
    for point in dev/pts dev sys proc; do
        mountpoint -q "$tree/$point" && umount -l "$tree/$point"
    done
    return 0
}
finish() {
    status=$?
    unmount
    if [ -z "${VTX_KEEP:-}" ] && [ -d "$tree" ] \
        && ! grep -q " $tree/" /proc/mounts; then
        rm -rf --one-file-system "$tree"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 "$@"; }
timed() { # NAME COMMAND…: runs it, adds its time to the summary
    local name=$1 begin=$SECONDS
    shift
    say "$name …"
    "$@" || fail "$name failed after $((SECONDS - begin)) s; output: $log"
    times+=("$(printf '%-34s %4d s' "$name" $((SECONDS - begin)))")
}
logged() { "$@" >>"$log" 2>&1; }
shown() { "$@" 2>&1 | tee -a "$log"; }

times=()
mkdir -p "$(dirname "$tree")"
: >"$log"
timed "debootstrap from $mirror" logged debootstrap --variant=minbase bookworm "$tree" "$mirror"
cat >"$tree/etc/apt/sources.list" <<END
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb $security bookworm-security main
END
cp /etc/resolv.conf "$tree/etc/resolv.conf" 2>/dev/null || true
for file in /etc/apt/apt.conf.d/*proxy*; do
    [ ! -e "$file" ] || cp "$file" "$tree/etc/apt/apt.conf.d/"
done
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sys "$tree/sys"
mount --bind /dev "$tree/dev"
mount --make-private "$tree/dev" # else what is mounted below appears in this machine's /dev
mount --bind /dev/pts "$tree/dev/pts"

# What the README presumes.
timed "git, python3" logged inside sh -c \
    'apt-get update && apt-get install -y --no-install-recommends ca-certificates git python3'
git -c safe.directory='*' -C "$here" bundle create "$tree/srv/checkout.bundle" HEAD >>"$log" 2>&1
timed "git clone" logged inside git clone /srv/checkout.bundle /srv/VtxTutorial
for command in ${VTX_ONLY:-run docs test}; do
    timed "./lab $command" shown inside sh -c "cd /srv/VtxTutorial && ./lab $command --yes"
    [ "$command" = test ] \
        || timed "./lab $command, prepared" shown inside sh -c "cd /srv/VtxTutorial && ./lab $command --yes"
done
changed=$(inside git -C /srv/VtxTutorial status --porcelain)
[ -z "$changed" ] || fail "the checkout is no longer clean: $changed"
say "Everything worked:"
printf '  %s\n' "${times[@]}"
du -sh --one-file-system "$tree" | awk '{print "  disk used by the tree: " $1}'
