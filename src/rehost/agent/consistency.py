"""How each partition of a run was made consistent, and why that way: a part of the run's report."""

from collections.abc import Iterable, Iterator

from rehost.agent.copy.final import Final
from rehost.agent.copy.sources import Source
from rehost.core.agentapi import PartitionConsistency
from rehost.core.server import device_name
from rehost.track.mounts import FileSystem
from rehost.track.used import PartitionUse


def consistency_of(sources: Iterable[Source], final: Final) -> Iterator[PartitionConsistency]:
    for source in sources:
        suspicion = final.look.suspicions[source.volume.volume]
        for use in final.look.uses[source.volume.volume].partitions:
            way, reason = _way(use, final)
            yield PartitionConsistency(
                device_name(source.disk, use.partition), way, f"{reason}; {suspicion.reason}"
            )


def _way(use: PartitionUse, final: Final) -> tuple[str, str]:
    if not use.systems:
        if use.reading == "swap-header":
            return "swap-header", "swap space: only its header is copied"
        if not use.held:
            return "unmounted", f"not mounted; {use.reading}"
    names = ", ".join(map(_name, use.systems)) or "what holds the partition (no file system mounted here)"
    if not use.held and not final.unfreezable.intersection(use.systems):
        return "frozen", f"{names} frozen for {final.seconds:.2f} s; {use.reading}"
    if final.settled:
        return "compared", f"{names} cannot freeze; two passes over it were equal; {use.reading}"
    return "unsettled", f"{names} cannot freeze and changed from pass to pass; check it in the copy"


def _name(system: FileSystem) -> str:
    return f"{system.kind} on {system.points[0]}"
