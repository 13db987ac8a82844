"""What tells this machine from a clone of its disk, see `core.clones`."""

from contextlib import suppress

from rehost.agent.survey.host import Host
from rehost.agent.survey.parse import sysfs
from rehost.core.clones import MOST_CARDS, Boot, Hardware

# What firmware says that nobody gave a UUID to.
_MEANINGLESS = (
    "03000200-0400-0500-0006-000700080009",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)


def boot(host: Host) -> Boot:
    return Boot(host.text("/proc/sys/kernel/random/boot_id").strip(), hardware(host))


def hardware(host: Host) -> Hardware:
    product = _product(host).strip().lower()
    cards = sysfs.network_cards(host.path("/sys"))
    macs = [card.mac.lower() for card in cards if card.physical and card.mac]
    return Hardware("" if product in _MEANINGLESS else product, tuple(macs[:MOST_CARDS]))


def _product(host: Host) -> str:
    with suppress(OSError):  # root alone may read it
        return host.text("/sys/class/dmi/id/product_uuid")
    return ""
