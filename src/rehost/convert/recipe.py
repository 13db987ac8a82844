"""What the helper VM is made of. Its hash names the cached build: a change here makes a new one."""

import hashlib
import json
import os

SUITE = "bookworm"
PACKAGES = (
    "btrfs-progs",
    "busybox-static",
    "coreutils",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "kmod",
    "linux-image-cloud-amd64",
    "mount",
    "python3-minimal",
    "util-linux",
    "xfsprogs",
)
# Unpacked, never configured: nothing of it runs but what the init script starts, and it saves half a minute.
VARIANT = "extract"
LEFT_OUT = (
    "/lib/modules/*/kernel/drivers/gpu/*",
    "/lib/modules/*/kernel/drivers/infiniband/*",
    "/lib/modules/*/kernel/drivers/net/*",
    "/lib/modules/*/kernel/net/*",
    "/lib/udev/hwdb.d/*",
    "/usr/lib/python3*/pydoc_data/*",
    "/usr/lib/x86_64-linux-gnu/gconv/*",
    "/usr/lib/x86_64-linux-gnu/libicu*",  # 40 MB for the one xfs tool that is not used here
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)
HOOKS = (
    # What the packages' own scripts would do: folders, the index of the modules, compiled Python.
    'cd "$1" && mkdir -p dev mnt proc root run sys tmp',
    'for folder in "$1"/lib/modules/*; do chroot "$1" depmod "$(basename "$folder")"; done',
    'chroot "$1" python3 -m compileall -q -x "/(asyncio|unittest|lib2to3)/" /usr/lib/python3.11',
)
INITRD_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "squashfs")
COMPRESSION = ("-comp", "lz4")  # reading it costs the least where every instruction is emulated
MIRROR = os.environ.get("REHOST_DEBIAN_MIRROR", "")  # empty: what mmdebstrap takes by itself

COMMANDS = (
    "basename",
    "cat",
    "dirname",
    "insmod",
    "mkdir",
    "mount",
    "reboot",
    "switch_root",
    "tar",
)  # of busybox
INIT = """#!/bin/busybox sh
# The helper VM's first process: load drivers, mount the root, unpack the job, hand over.
fail() { echo "helper VM: $*"; reboot -f; }
find_disk() {
    for file in /sys/block/vd*/serial; do
        if [ "$(cat "$file")" = "$1" ]; then echo "/dev/$(basename "$(dirname "$file")")"; fi
    done
}
export PATH=/bin
mkdir -p /proc /sys /dev /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module" || fail "no $module"; done </modules/order
mount -t squashfs -o ro "$(find_disk rehost-system)" /root || fail "no root"
mount -t tmpfs tmpfs /root/run
mount -t tmpfs tmpfs /root/tmp
mkdir /root/run/job
tar -x -f "$(find_disk rehost-job)" -C /root/run/job || fail "no job"
for place in dev proc sys; do mount --move /$place /root/$place; done
exec switch_root /root /bin/busybox sh /run/job/guest/start.sh
"""


def identity() -> str:
    """16 hex digits that stand for everything above."""
    values = (SUITE, PACKAGES, VARIANT, LEFT_OUT, HOOKS, INITRD_MODULES, COMPRESSION, COMMANDS, INIT)
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
