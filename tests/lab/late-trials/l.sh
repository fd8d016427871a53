S=$D/step11_late_launch
ins step11_late_launch || echo FAILED
for c in 1 2 4 8; do taskset $c prog; done
prog fork 50; prog fpu 5000
cat $S/cpus
for c in 1 2 3; do echo 0 >/sys/devices/system/cpu/cpu$c/online; done; cat $S/cpus
for c in 3 2 1; do echo 1 >/sys/devices/system/cpu/cpu$c/online; done; cat $S/cpus
for i in $(seq 5); do rmmod step11_late_launch || echo BAD; ins step11_late_launch || echo BAD; done
rmmod step11_late_launch
for c in 1 2 4 8; do taskset $c prog; done
