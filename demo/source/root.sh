#!/bin/sh
# Makes a Debian root as a tar file: root.sh TARBALL
set -eu
# Drivers that no server needs, documentation and translations are left out: under software emulation each
# megabyte of the source's disk costs time.
INITRD=No exec mmdebstrap --quiet --variant=minbase --format=tar --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/sound/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/gpu/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/media/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/infiniband/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/iio/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/staging/*' \
    --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/net/wireless/*' \
    --include=systemd-sysv,udev,kmod,ifupdown,iproute2,linux-image-amd64,initramfs-tools,zstd,grub-pc,e2fsprogs,openssh-server,curl,ca-certificates \
    bookworm "$1"
