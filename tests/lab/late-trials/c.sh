S=$D/step11_late_launch
ins step11_late_launch || echo FAILED
prog hostile | grep -v single
for k in irqbypass kvm kvm-intel; do ins $k; echo "$k while guest: $?"; done
cat $S/cpus
printf x > $S/watched; taskset 2 sh -c "printf yz > $S/watched"; cat $S/watched
echo "NMI before"; grep NMI /proc/interrupts
dmesg -n 1
taskset 1 prog flood 60 & f=$!
for i in $(seq 60); do taskset 2 sh -c 'echo l >/proc/sysrq-trigger'; done
kill $f
dmesg -n 7
echo "NMI 60 after"; grep NMI /proc/interrupts; cat $S/cpus
rmmod step11_late_launch || echo BADRM
for k in kvm-intel; do ins $k; echo "$k after: $?"; done
ins step11_late_launch; echo "step11 with kvm: $?"; rmmod step11_late_launch 2>/dev/null
rmmod kvm_intel; rmmod kvm
prog
for n in $(seq 30); do ins step11_late_launch fail_at=$n 2>/dev/null; rc=$?; [ $rc = 0 ] && { echo "fail_at $n loads"; rmmod step11_late_launch; break; }; echo "fail_at $n rc $rc"; done
prog; taskset 2 prog
ins step11_late_launch && rmmod step11_late_launch && echo once more good
