prog fork 100; prog fork 100
ins step11_late_launch || echo FAILED
prog fork 100; prog fork 100; cat $D/step11_late_launch/cpus
rmmod step11_late_launch
prog fork 100
