prog; prog fork 200; prog pipe 500; 
ins snapshot; cat $D/snapshot/cpu* > /run/before
time -p ls -lR /bin /sys/kernel >/dev/null
ins step11_late_launch || echo FAILED
prog hostile; prog fork 200; prog pipe 500; prog fpu 30000
time -p ls -lR /bin /sys/kernel > /dev/null
printf abc > $D/step11_late_launch/watched; cat $D/step11_late_launch/watched
cat $D/step11_late_launch/cpus
cat $D/snapshot/cpu* > /run/during
diff /run/before /run/during
rmmod step11_late_launch
cat $D/snapshot/cpu* > /run/after
diff /run/before /run/after && echo SNAPSHOT EQUAL
prog
for i in $(seq 50); do ins step11_late_launch && rmmod step11_late_launch || echo BAD $i; done >/dev/null
cat $D/snapshot/cpu* > /run/after
diff /run/before /run/after && echo SNAPSHOT EQUAL 50
