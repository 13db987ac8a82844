"""A source's devices as the tests of the text edits know them, and random texts that mention them."""

from hypothesis import strategies as st

from rehost.convert.guest.devices import DeviceNames, SourceDisk, Volume

ROOT = Volume("/dev/sda1", "/dev/vda1", "ext4", "aaaa-root", "system", "0badcafe-01", "/")
SWAP = Volume("/dev/sda2", "/dev/vda2", "swap", "bbbb-swap")
DATA = Volume("/dev/sdb1", "/dev/vdb1", "xfs", "cccc-data", "records", "1badcafe-01", "/data")
BLANK = Volume("/dev/sdb2", "/dev/vdb2")
NVME = Volume("/dev/nvme0n1p1", "/dev/vdc1", "ext4", "dddd-nvme")
NAMES = DeviceNames(
    [ROOT, SWAP, DATA, BLANK, NVME],
    [SourceDisk("/dev/sda", "QM00001"), SourceDisk("/dev/sdb"), SourceDisk("/dev/nvme0n1", "S3R1AL")],
)

specs = st.sampled_from(
    [
        *("/dev/sda1", "/dev/sda2", "/dev/sdb1", "/dev/sdb2", "/dev/sdz9", "/dev/sr0", "/dev/mapper/vg-lv"),
        *(
            "/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part1",
            "/dev/disk/by-path/pci-0000:00:01.1-ata-1-part1",
        ),
        *("UUID=aaaa-root", "UUID=gone", "LABEL=records", "PARTUUID=1badcafe-01", "server:/export", "tmpfs"),
    ]
)
blanks = st.sampled_from([" ", "  ", "\t", " \t "])
words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=12)
