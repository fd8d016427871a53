S=$D/step11_late_launch
ins snapshot; ins step11_late_launch || echo FAILED
prog hostile | grep -v single
taskset 2 sh -c "printf ab > $S/watched"; printf c > $S/watched; cat $S/watched
dmesg -n 1; taskset 1 prog flood 60 & f=$!
(for i in $(seq 500); do taskset 2 prog fork 20 >/dev/null; done) & g=$!
for i in $(seq 100); do taskset 2 sh -c 'echo l >/proc/sysrq-trigger'; done
kill $f $g; dmesg -n 7
grep NMI /proc/interrupts; cat $S/cpus
on=/sys/devices/system/cpu/cpu1/online
for i in $(seq 5); do echo 0 >$on; echo 1 >$on; done
for i in $(seq 20); do rmmod step11_late_launch || echo BAD; ins step11_late_launch || echo BAD; done
cat $S/cpus; rmmod step11_late_launch; prog; taskset 2 prog
