dmesg -n 8; reboot -f
