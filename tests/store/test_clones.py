"""Machines that show one identity, as the records keep them; the rules themselves are in core/test_clones."""

import pytest

from rehost.core.clones import Boot, Hardware
from rehost.core.errors import BootChangedError, ClonedAgentError, NotFoundError
from rehost.store.clones import Clones
from rehost.store.store import Store
from tests.store.test_servers import _beat

OWN = Boot("a", Hardware("1", ("52:54:00:00:00:01",)))
SAME = Boot("b", OWN.hardware)
OTHER = Boot("c", Hardware("2", ("52:54:00:00:00:02",)))


def _events(store: Store, server_id: str) -> list[str]:
    return [event.detail for event in store.events.of(server_id) if event.what == "CLONE"]


def test_other_hardware_is_refused_and_noted_once(store: Store, register, clock) -> None:
    server = register()
    store.clones.meet(server.id, OWN, "192.0.2.1")
    for _ in range(3):
        clock.time += 61
        with pytest.raises(ClonedAgentError, match="another machine: product 1") as told:
            store.clones.meet(server.id, OTHER, "192.0.2.2")
        assert "register --anew" in told.value.advice
    store.clones.meet(server.id, OWN, "192.0.2.1")
    (event,) = _events(store, server.id)
    assert "192.0.2.2" in event
    bearers = store.servers.get(server.id).bearers
    assert bearers is not None
    assert (bearers.own, bearers.clone and bearers.clone.last) == (OWN, clock.time)


def test_a_heartbeat_of_the_boot_before_makes_another_boot_a_clone(store: Store, register, clock) -> None:
    server = register()
    store.clones.meet(server.id, OWN, "192.0.2.1")
    with pytest.raises(BootChangedError):
        store.clones.meet(server.id, SAME, "192.0.2.2")
    assert _events(store, server.id) == []
    clock.time += 30
    store.servers.heartbeat(server.id, _beat(server))
    with pytest.raises(ClonedAgentError):
        store.clones.meet(server.id, SAME, "192.0.2.2")
    assert len(_events(store, server.id)) == 1


def test_a_restart_goes_on_when_the_boot_before_was_silent(store: Store, register, clock) -> None:
    server = register()
    store.clones.meet(server.id, OWN, "192.0.2.1")
    clock.time += 44
    with pytest.raises(BootChangedError):
        store.clones.meet(server.id, SAME, "192.0.2.1")
    clock.time += 1
    store.clones.meet(server.id, SAME, "192.0.2.1")
    assert _events(store, server.id) == []


def test_what_a_control_plane_that_was_away_missed_is_no_silence(store: Store, register, clock) -> None:
    server = register()
    store.clones.meet(server.id, OWN, "192.0.2.1")
    clock.time += 3600
    fresh = Clones(store.database)
    with pytest.raises(BootChangedError):
        fresh.meet(server.id, SAME, "192.0.2.1")
    clock.time += 45
    fresh.meet(server.id, SAME, "192.0.2.1")


def test_a_source_that_is_gone(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.clones.meet("s-none", OWN, "192.0.2.1")
