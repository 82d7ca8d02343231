#!/bin/busybox sh
# PID 1 of the test: what the agent does at first, then one use of each group of tools. Each result is a line
# "TEST what ok".
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
free() { sed -n 's/^MemAvailable: *//p' /proc/meminfo; }
result() { if [ "$2" = 0 ]; then echo "TEST $1 ok"; else echo "TEST $1 failed"; fi; }
echo "TEST pid1 uptime $(cut -d' ' -f1 /proc/uptime) available $(free)"
for turn in 1 2; do
    find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u | xargs -r modprobe -q -a -b 2>/dev/null
done
echo "TEST coldplug uptime $(cut -d' ' -f1 /proc/uptime) modules $(wc -l </proc/modules) $(ls /sys/class/net /sys/block | tr '\n' ' ')"

bad=0
for file in /bin/* /sbin/* /usr/bin/* /usr/sbin/*; do
    [ -L "$file" ] && continue
    case $(head -c 4 "$file" | tail -c 3) in ELF) ;; *) continue ;; esac
    case $file in /bin/busybox) continue ;; esac
    /lib64/ld-linux-x86-64.so.2 --list "$file" >/tmp/list 2>&1 || { echo "$file: $(tail -n 1 /tmp/list)"; bad=1; }
done
result libraries $bad

sgdisk -n 1:0:+100M -n 2:0:+400M -n 3:0:+100M -n 4:0:+64M -n 5:0:+64M /dev/nvme0n1 >/dev/null
for turn in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/nvme0n1p5 ] || sleep 0.3; done
try() { mkdir -p "/mnt/$1" && mount -t "$1" "/dev/nvme0n1p$2" "/mnt/$1" && echo x >"/mnt/$1/f" && umount "/mnt/$1"; }
mkfs.ext4 -q /dev/nvme0n1p1 && try ext4 1
result ext4 $?
mkfs.xfs -q /dev/nvme0n1p2 && try xfs 2
result xfs $?
mkfs.vfat /dev/nvme0n1p3 >/dev/null && try vfat 3
result vfat $?
pvcreate -qq -y /dev/nvme0n1p4 && vgcreate -qq vg /dev/nvme0n1p4 && lvcreate -qq -y -Wn -Zn -L 32M -n lv vg && [ -b /dev/vg/lv ]
result lvm $?
yes | mdadm --create /dev/md0 --level=1 --force --raid-devices=1 /dev/nvme0n1p5 2>/tmp/md
grep -q '^md0' /proc/mdstat
result md $?
echo "TEST done uptime $(cut -d' ' -f1 /proc/uptime) available $(free)"
poweroff -f
