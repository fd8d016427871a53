#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proves the README's commands on a fresh Debian: makes a minimal tree by debootstrap, clones this
# checkout's last commit into it, and runs ./lab run, docs and test there.
#
#   sudo tests/fresh-debian.sh [12|13]      default: 12. The tree is build/fresh-debian12
#
# VTX_KEEP=1 keeps the tree. VTX_ONLY="run docs" leaves ./lab test out.
set -euo pipefail

case "${1:-}" in -*) sed -n '4,9s/^# \?//p' "$0"; exit 2 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
version=${1:-12}
tree=$here/build/fresh-debian$version
log=$tree.log

say() { echo "[$(date +%H:%M:%S)] $*"; }
fail() { echo "fresh-debian: $*" >&2; exit 1; }
debian_tree() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/tools python3 -m lab.debian_tree "$@"; }
inside() { debian_tree run "$tree" "$@"; }
logged() { "$@" >>"$log" 2>&1; }
shown() { "$@" 2>&1 | tee -a "$log"; }
times=()
mkdir -p "$here/build"; : >"$log"
timed() { # NAME COMMAND…: runs it, adds its time to the summary
    local name=$1 begin=$SECONDS
    shift
    say "$name …"
    "$@" || fail "$name failed after $((SECONDS - begin)) s; output: $log"
    times+=("$(printf '%-34s %4d s' "$name" $((SECONDS - begin)))")
}

[ ! -e "$tree" ] || fail "$tree exists already; remove it first."
[ -z "$(git -c safe.directory='*' -C "$here" status --porcelain)" ] \
    || say "Note: what is not committed is not tested."
trap '[ -n "${VTX_KEEP:-}" ] || rm -rf --one-file-system "$tree"' EXIT
trap 'exit 130' INT TERM HUP

# git and python3 are what the README presumes.
timed "debootstrap, git, python3" shown debian_tree make "$version" "$tree" ca-certificates git python3
git -c safe.directory='*' -C "$here" bundle create "$tree/srv/checkout.bundle" HEAD 2>>"$log"
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
