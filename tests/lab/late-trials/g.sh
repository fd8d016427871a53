S=$D/step11_late_launch
grep -o -m1 "ibt\|pti" /proc/cpuinfo; dmesg | grep -i "ibt\|cet\|FRED" | head
ins snapshot; cat $D/snapshot/cpu* > /run/before
prog fork 30
ins altered || echo FAILED
prog hostile | grep -v single; prog fork 30
printf ab > $S/watched; cat $S/watched; cat $S/cpus
prog leave; prog fpu 1000
cat $S/cpus
rmmod step11_late_launch; 
for i in 1 2 3; do ins step11_late_launch; prog; rmmod step11_late_launch; done
cat $D/snapshot/cpu* > /run/after; diff /run/before /run/after | grep "^[+-]"
for m in snapshot; do rmmod $m; done
