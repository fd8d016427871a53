S=$D/step11_late_launch
ins altered || echo FAILED
prog leave; prog; prog fork 20; cat $S/cpus
rmmod step11_late_launch || echo BADRM
ins step11_late_launch; prog; cat $S/cpus
cat /sys/power/disk
echo disk > /sys/power/state; echo "hibernate $?"; cat $S/cpus; prog
dmesg | tail -12
rmmod step11_late_launch; prog
