#!/bin/bash
# In new namespaces: makes a machine out of a throw-away copy of this one, and becomes its systemd.
set -euo pipefail
work=$1

mount --make-rprivate /
mount -t tmpfs -o mode=755 sandbox "$work/copy"
mkdir "$work/copy"/{upper,overlay,root}
root=$work/copy/root
mount -t overlay -o "lowerdir=/,upperdir=$work/copy/upper,workdir=$work/copy/overlay" overlay "$root"
mkdir -p "$root/source"
mount --bind "$work/source" "$root/source"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp dev; do mount -t tmpfs -o mode=755 "$place" "$root/$place"; done
chmod 1777 "$root/tmp"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
touch "$root/dev/console"
mount --bind "$work/told" "$root/dev/console"
ip link set lo up

# Nothing of this machine's own is started.
rm -rf "$root"/etc/systemd/system/* "$root"/etc/fstab "$root"/etc/resolv.conf
cp "$root/source/story.service" "$root/etc/systemd/system/"
cd "$root"
mkdir before
pivot_root . before
umount -l /before
# As at every boot: what is mounted beside the root is seen by all, credentials for instance.
mount --make-rshared /
exec env -i container=casebridge-sandbox PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    /usr/lib/systemd/systemd --system --unit=story.service --log-target=journal --log-level=notice --show-status=no
