S=$D/step11_late_launch
ins step11_late_launch || echo FAILED
cat $S/cpus; prog
rmmod step11_late_launch
ins step11_late_launch
rmmod step11_late_launch; ins step11_late_launch
(for i in $(seq 200); do prog fork 20 >/dev/null; done) & f=$!
on=/sys/devices/system/cpu/cpu1/online
for i in $(seq 8); do echo 0 >$on; echo 1 >$on; rmmod step11_late_launch || echo BAD; ins step11_late_launch || echo BAD; done
prog pipe 300
kill $f
cat $S/cpus
dmesg -n 8
echo c >/proc/sysrq-trigger
