ins step06_vmxoff; ins step11_late_launch; echo "11 beside 06: $?"; rmmod step06_vmxoff
ins step11_late_launch; echo "11: $?"; ins step06_vmxoff; echo "06 beside 11: $?"; prog
rmmod step11_late_launch
