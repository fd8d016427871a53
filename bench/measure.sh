#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs the guest of the benchmark under each hypervisor: measure.sh FOLDER NAME…
# FOLDER has guest.bin, interrupt.bin, the modules, kvm-client and kvm-pc; the names are floor,
# step05, step05-no-trace, step07, kvm, and for interrupt.bin step09 and kvm-pc. Prints "@@ NAME"
# and then what the guest printed. As root.
folder=$1
shift

# in_module NAME MODULE TRACE [GUEST]: what a guest prints in a module goes to the kernel log.
in_module() {
	files=/sys/kernel/debug/$2
	"${INSMOD:-insmod}" "$folder/$2.ko" trace="$3" || { echo "@@ failed: insmod $2"; return; }
	echo "@@ bench $1" >/dev/kmsg
	cat "$folder/${4:-guest}.bin" >"$files/guest"
	while grep -qs state=running "$files/status"; do sleep 0.1; done
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
	step09) in_module step09 step09_interrupts 1 interrupt ;;
	kvm) "$folder/kvm-client" "$folder/guest.bin" ;;
	kvm-pc) "$folder/kvm-pc" "$folder/interrupt.bin" ;;
	esac
done
echo "@@ done"
