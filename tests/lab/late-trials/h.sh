ins step11_late_launch; echo "rc $?"; prog
