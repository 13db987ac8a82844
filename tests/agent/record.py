"""Records what a server's kernel and disks say, for the tests of the inventory (see data/README.md).

Stdlib only, run on that server as root, for instance by the agent's own interpreter:
    /opt/rehost-agent/current/bin/python3 record.py NAME.json
"""

import base64
import contextlib
import json
import os
import socket
import sys
import zlib
from pathlib import Path

HEAD = 68 << 10  # bytes of each disk and partition: all superblocks that the agent knows lie there
DUMP_ADDRESSES = bytes.fromhex("180000001600010301000000000000000000000000000000")
PROC = ("self/mountinfo", "meminfo", "cpuinfo", "stat", "swaps")


def main(target: str) -> None:
    devices = {}
    for block in Path("/sys/block").iterdir():
        if int((block / "size").read_text()):
            devices.update(disk(block))
    recording = {
        "uname": list(os.uname()),
        "files": dict(files()),
        "devices": devices,
        "free": {point: free(point) for point in mount_points()},
        "addresses": base64.b64encode(addresses()).decode(),
    }
    Path(target).write_text(json.dumps(recording, indent=1, sort_keys=True))


def files():
    for name in PROC:
        yield "/proc/" + name, Path("/proc", name).read_text()
    yield "/etc/os-release", Path("/etc/os-release").read_text()
    yield "/etc/machine-id", Path("/etc/machine-id").read_text()
    if Path("/sys/firmware/efi").is_dir():
        yield "/sys/firmware/efi/fw_platform_size", Path("/sys/firmware/efi/fw_platform_size").read_text()
    for block in sorted(Path("/sys/block").iterdir()):
        yield from attributes(block, "dev size removable hidden serial dm/name queue/logical_block_size")
        yield from attributes(block, "device/serial")
        yield from binary(block / "device/vpd_pg80")
        for slave in (block / "slaves").iterdir():
            yield f"{block}/slaves/{slave.name}/dev", (slave / "dev").read_text()
        for part in block.iterdir():
            if (part / "partition").is_file():
                yield from attributes(part, "dev size start partition")
    for card in sorted(Path("/sys/class/net").iterdir()):
        yield from attributes(card, "address ifindex")
        if (card / "device").exists():
            yield f"{card}/device/uevent", (card / "device/uevent").read_text()


def attributes(folder, names):
    for name in names.split():
        path = folder / name
        if path.is_file():
            yield str(path), path.read_text()


def binary(path):
    try:
        yield str(path), path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return


def disk(block):
    """The disk's head and end (both GPTs, all EBRs that are near), and the head of each partition."""
    size = int((block / "size").read_text()) * 512
    path = "/dev/" + block.name
    pieces = {0: HEAD, max(0, size - 33 * 512): 33 * 512}
    parts = [part for part in block.iterdir() if (part / "partition").is_file()]
    for part in parts:
        start, length = (int((part / name).read_text()) * 512 for name in ("start", "size"))
        pieces[start] = min(HEAD, length)
        pieces[max(0, start - (1 << 20))] = 512  # where partitioning programs put an EBR
    yield path, {"size": size, "pieces": read(path, pieces)}
    for part in parts:
        length = int((part / "size").read_text()) * 512
        device = Path("/dev") / part.name
        if device.exists():
            yield str(device), {"size": length, "pieces": read(device, {0: min(HEAD, length)})}


def read(path, pieces):
    found = {}
    with contextlib.suppress(OSError), open(path, "rb") as file:  # a drive without a medium has none
        for offset, length in sorted(pieces.items()):
            file.seek(offset)
            content = file.read(length)
            if any(content):
                found[str(offset)] = base64.b64encode(zlib.compress(content, 9)).decode()
    return found


def mount_points():
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def free(point):
    space = os.statvfs(point)
    return space.f_bfree * space.f_frsize


def addresses():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.sendto(DUMP_ADDRESSES, (0, 0))
        answer = b""
        while b"\3\0\2\0" not in answer[-20:]:  # NLMSG_DONE, multi-part
            answer += link.recv(1 << 16)
    return answer


if __name__ == "__main__":
    main(sys.argv[1])
