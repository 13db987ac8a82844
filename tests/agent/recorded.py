"""Servers recorded by record.py, put back as a folder that the inventory reads like the real `/`."""

import base64
import json
import os
import zlib
from pathlib import Path

from rehost.agent.survey.host import Host

DATA = Path(__file__).with_name("data")


def restore(name: str, root: Path) -> Host:
    """The recording `name` below `root`; disks become sparse files of their size with what was recorded."""
    recording = json.loads((DATA / f"{name}.json").read_text())
    for path, text in recording["files"].items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    for path, device in recording["devices"].items():
        _restore_device(root / path.lstrip("/"), device)
    addresses = base64.b64decode(recording["addresses"])
    return Host(root, os.uname_result(recording["uname"]), recording["free"].get, lambda: addresses)


def _restore_device(target: Path, device: dict) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.truncate(device["size"])
        for offset, content in device["pieces"].items():
            file.seek(int(offset))
            file.write(zlib.decompress(base64.b64decode(content)))
