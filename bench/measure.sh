#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs the guest of the benchmark under each hypervisor: measure.sh FOLDER NAME…
# FOLDER has guest.bin, the modules, and kvm-client; the names are floor, step05,
# step05-no-trace, step07 and kvm. Prints "@@ NAME" and then what the guest printed. As root.
folder=$1
shift

# in_module NAME MODULE TRACE: what a guest prints in a module goes to the kernel log.
in_module() {
	"${INSMOD:-insmod}" "$folder/$2.ko" trace="$3" || { echo "@@ failed: insmod $2"; return; }
	echo "@@ bench $1" >/dev/kmsg
	cat "$folder/guest.bin" >"/sys/kernel/debug/$2/guest"
	dmesg | sed "1,/@@ bench $1\$/d" | grep "$2: "
	rmmod "$2"
}

for name; do
	echo "@@ $name"
	case $name in
	floor) in_module floor bench_floor 0 ;;
	step05) in_module step05 step05_exits 1 ;;
	step05-no-trace) in_module step05-no-trace step05_exits 0 ;;
	step07) in_module step07 step07_ept 1 ;;
	kvm) "$folder/kvm-client" "$folder/guest.bin" ;;
	esac
done
echo "@@ done"
