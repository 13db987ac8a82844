#!/bin/sh
# Installs a root tar file on the disks of the demo's source machine: disks.sh SYSTEM DATA TARBALL FILES AUTHORIZED_KEY
#
# SYSTEM and DATA are empty raw images. Needs root for loop devices; runs in a mount namespace of its own, so
# that nothing stays mounted however it ends: `unshare --mount disks.sh ...`
set -eu
system_image=$1 data_image=$2 tarball=$3 files=$4 key=$5

loops=
root=$(mktemp -d)
finish() {
    umount --recursive --lazy "$root" 2>/dev/null || true
    for loop in $loops; do losetup --detach "$loop"; done
    rmdir "$root"
}
trap finish EXIT
trap 'exit 1' INT TERM

attach() { # IMAGE FIRST_SECTOR SECTORS: sets $loop. By place, since not every kernel scans loop devices for partitions
    loop=$(losetup --find --show --offset $(($2 * 512)) --sizelimit $(($3 * 512)) "$1")
    loops="$loops $loop"
}
attach_partition() { # IMAGE NUMBER: sets $loop
    # shellcheck disable=SC2046
    attach "$1" $(sfdisk --dump "$1" | sed -n "s/^[^ ]*$2 : start= *\([0-9]*\), size= *\([0-9]*\),.*/\1 \2/p")
}

printf 'label: dos\n2048,2304MiB,83,*\n,,82\n' | sfdisk --quiet "$system_image"
printf 'label: dos\n2048,,83\n' | sfdisk --quiet "$data_image"
attach_partition "$system_image" 1; system=$loop
attach_partition "$system_image" 2; swap=$loop
attach_partition "$data_image" 1; data=$loop

mkfs.ext4 -q -L root "$system"
mkswap -q "$swap"
mkfs.ext4 -q -L data "$data"
mount "$system" "$root"
tar -x -f "$tarball" -C "$root" --numeric-owner --xattrs
mkdir -p "$root/srv/data"
mount "$data" "$root/srv/data"

cat >"$root/etc/fstab" <<'END'
/dev/sda1 /         ext4 errors=remount-ro 0 1
/dev/sda2 none      swap sw                0 0
/dev/sdb1 /srv/data ext4 defaults          0 2
END
cat >"$root/etc/network/interfaces" <<'END'
auto lo
iface lo inet loopback

auto ens5
iface ens5 inet static
    address 10.0.2.15/24
    gateway 10.0.2.2
END
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
echo shop >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 shop\n' >"$root/etc/hosts"
cat >"$root/etc/default/grub" <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_DISABLE_LINUX_UUID=true
GRUB_TERMINAL=console
GRUB_DISABLE_OS_PROBER=true
END

install -D -m 0755 "$files/recorder" "$root/usr/local/sbin/recorder"
install -D -m 0644 "$files/recorder.service" "$root/etc/systemd/system/recorder.service"
mkdir -p -m 0700 "$root/root/.ssh"
install -m 0600 "$key" "$root/root/.ssh/authorized_keys"

# Data that a copy can get wrong: a file of every size class, one with holes, many small ones.
mkdir "$root/srv/data/small"
for n in $(seq 1 200); do echo "document $n" >"$root/srv/data/small/$n.txt"; done
head -c 32M /dev/urandom >"$root/srv/data/large.bin"
truncate -s 64M "$root/srv/data/sparse.bin"
echo end | dd of="$root/srv/data/sparse.bin" bs=1 seek=50M conv=notrunc status=none
(cd "$root/srv/data" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)

for place in dev proc sys; do mount --rbind "/$place" "$root/$place"; done
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
in_root systemctl --quiet enable recorder.service
in_root systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-pstore.service

# What MODULES=dep would choose where the system disk is behind a SATA controller. It cannot be left to choose here:
# it would look at this host's hardware.
settings="$root/etc/initramfs-tools"
echo 'RESUME=/dev/sda2' >"$settings/conf.d/resume"
echo 'MODULES=list' >"$settings/conf.d/driver-policy"
cp "$settings/modules" "$settings/modules.kept"
printf 'ahci\nsd_mod\next4\n' >>"$settings/modules"
in_root update-initramfs -c -k all >/dev/null
mv "$settings/modules.kept" "$settings/modules"
echo 'MODULES=dep' >"$settings/conf.d/driver-policy"

# As grub-install does it; that program itself wants a disk whose partitions the kernel knows.
boot="$root/boot/grub/i386-pc"
mkdir -p "$boot"
cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/usr/lib/grub/i386-pc/boot.img" "$boot"
in_root grub-mkimage --format=i386-pc --prefix='(hd0,msdos1)/boot/grub' --output=/boot/grub/i386-pc/core.img \
    biosdisk part_msdos ext2
dd if="$boot/boot.img" of="$system_image" bs=440 count=1 conv=notrunc status=none
dd if="$boot/core.img" of="$system_image" bs=512 seek=1 conv=notrunc status=none
blkid --output value --match-tag UUID "$system" >"$root/etc/root-uuid"
mount --bind "$files/grub-probe" "$root/usr/sbin/grub-probe"
in_root update-grub
umount "$root/usr/sbin/grub-probe"
rm "$root/etc/root-uuid"
grep -q 'root=/dev/sda1 ' "$root/boot/grub/grub.cfg"
rm -f "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id
echo uninitialized >"$root/etc/machine-id"
sync
