S=$D/step11_late_launch
ins snapshot
grep -m1 -o "pti" /proc/cpuinfo; ls /proc/mtrr && cat /proc/mtrr
ins step11_late_launch || echo FAILED
echo "base=0xf0000000 size=0x1000000 type=uncachable" > /proc/mtrr; echo "mtrr write $?"; cat /proc/mtrr
cat $S/cpus; prog
rmmod step11_late_launch; dmesg | tail -5
echo ---- ring 3
cat $D/snapshot/cpu0 >/run/before
ins altered || echo FAILED2

prog; prog leave; prog; prog fpu 10000
for i in 1 2 3 4 5; do rmmod step11_late_launch; ins altered; prog leave; done
cat $D/step11_late_launch/cpus
rmmod step11_late_launch
cat $D/snapshot/cpu0 >/run/after; diff /run/before /run/after
prog; prog fork 30
for n in $(seq 30); do ins step11_late_launch fail_at=$n 2>/dev/null; rc=$?; [ $rc = 0 ] && { echo "fail_at $n loads"; rmmod step11_late_launch; break; }; echo "fail_at $n rc $rc"; done
prog
echo ---- restart under it
ins step11_late_launch
dmesg -n 8; reboot -f
