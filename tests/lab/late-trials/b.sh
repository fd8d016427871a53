prog hostile
ins step11_late_launch || echo FAILED
prog hostile
cat $D/step11_late_launch/cpus
on=/sys/devices/system/cpu/cpu1/online
for i in 1 2 3; do echo 0 >$on || echo BADOFF; cat $D/step11_late_launch/cpus; echo 1 >$on || echo BADON; done
cat $D/step11_late_launch/cpus
taskset 2 prog; taskset 2 prog fork 50; prog fpu 10000
(for i in $(seq 20); do for c in $(seq 200); do prog >/dev/null; done; done) & f=$!
for i in $(seq 20); do echo l >/proc/sysrq-trigger; sleep 0.02; done
kill $f
echo NMI storm; grep NMI /proc/interrupts
rmmod step11_late_launch || echo BADRM
for i in $(seq 10); do ins step11_late_launch && rmmod step11_late_launch || echo BAD $i; done
taskset 2 prog; dmesg | grep -c "goes on as a guest"
