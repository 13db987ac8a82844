"""The old name for the new network card. Pure."""

import re

_PERMANENT_ADDRESS_SINCE = 245  # systemd's version


def link_path(name: str) -> str:
    return f"/etc/systemd/network/10-rehost-{name}.link"


def link_file(name: str, mac: str, systemd: int) -> str:
    """A systemd.link file. Where systemd knows it, the permanent address is matched: bridges, bonds and
    VLANs take over a card's present address and must not be renamed."""
    key = "PermanentMACAddress" if systemd >= _PERMANENT_ADDRESS_SINCE else "MACAddress"
    return (
        "# The interface keeps the name that it had before the migration.\n"
        f"[Match]\n{key}={mac.lower()}\n\n[Link]\nName={name}\n"
    )


def replace_address(text: str, old: str, new: str) -> str:
    """A configuration that names the old card by its address, for the new card."""
    if not re.fullmatch(r"(?i)[0-9a-f]{2}(:[0-9a-f]{2}){5}", old):
        return text
    return re.sub(rf"(?i)(?<![0-9a-f:]){old}(?![0-9a-f:])", new, text)
