"""Where a copy goes over the network: within one namespace, or over a link of a given shape."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.loopdisks import run
from tests.netlab.link import Namespace, link
from tests.netlab.relay import DEVICE
from tests.netlab.shape import Shape

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    near: Namespace  # where the source is
    far: Namespace  # where the copy goes
    device: str  # that every byte between them passes once, as seen by `near`
    both_ways: bool  # the device counts what goes each way apart

    @property
    def wire(self) -> int:
        """Bytes that passed so far, headers and acknowledgements too."""
        (found,) = json.loads(run("ip", "-n", self.near.name, "-j", "-s", "link", "show", self.device))
        counts = found["stats64"]
        return int(counts["tx"]["bytes"]) + (int(counts["rx"]["bytes"]) if self.both_ways else 0)


@contextmanager
def loopback() -> Iterator[Place]:
    """In a namespace of its own, so that nobody else's bytes are counted."""
    name = f"rehost-bench-{os.getpid()}-{next(_numbers)}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        space = Namespace(name, "127.0.0.1")
        yield Place("loopback", space, space, "lo", both_ways=False)
    finally:
        run("ip", "netns", "delete", name)


@contextmanager
def shaped(name: str, shape: Shape) -> Iterator[Place]:
    with link(shape) as between:
        yield Place(name, between.near, between.far, DEVICE, both_ways=True)
