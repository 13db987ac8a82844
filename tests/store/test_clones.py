"""Machines that show one identity, as the records keep them; the rules themselves are in core/test_clones."""

import pytest

from rehost.core.clones import Boot, Hardware
from rehost.core.errors import AgentIdentityError, BootChangedError, ClonedAgentError
from rehost.store.clones import Claim, Clones
from rehost.store.servers import hash_secret
from rehost.store.store import Store
from tests.store.test_servers import _beat

OWN = Boot("a", Hardware("1", ("52:54:00:00:00:01",)))
SAME = Boot("b", OWN.hardware)
OTHER = Boot("c", Hardware("2", ("52:54:00:00:00:02",)))


def _claim(server_id: str, boot: Boot | None, address: str = "192.0.2.1", letter: str = "a") -> Claim:
    return Claim(server_id, hash_secret(letter * 64), boot, address)


def meet(clones: Clones, server_id: str, boot: Boot, address: str) -> None:
    """Raises what a claim is refused with."""
    claim = _claim(server_id, boot, address)
    if refusal := clones.check([claim]).get(claim):
        raise refusal


def _events(store: Store, server_id: str) -> list[str]:
    return [event.detail for event in store.events.of(server_id) if event.what == "CLONE"]


def test_other_hardware_is_refused_and_noted_once(store: Store, register, clock) -> None:
    server = register()
    meet(store.clones, server.id, OWN, "192.0.2.1")
    for _ in range(3):
        clock.time += 61
        with pytest.raises(ClonedAgentError, match="another machine: product 1") as told:
            meet(store.clones, server.id, OTHER, "192.0.2.2")
        assert "register --anew" in told.value.advice
    meet(store.clones, server.id, OWN, "192.0.2.1")
    (event,) = _events(store, server.id)
    assert "192.0.2.2" in event
    bearers = store.servers.get(server.id).bearers
    assert bearers is not None
    assert (bearers.own, bearers.clone and bearers.clone.last) == (OWN, clock.time)


def test_a_heartbeat_of_the_boot_before_makes_another_boot_a_clone(store: Store, register, clock) -> None:
    server = register()
    meet(store.clones, server.id, OWN, "192.0.2.1")
    with pytest.raises(BootChangedError):
        meet(store.clones, server.id, SAME, "192.0.2.2")
    assert _events(store, server.id) == []
    clock.time += 30
    store.servers.heartbeat(server.id, _beat(server))
    with pytest.raises(ClonedAgentError):
        meet(store.clones, server.id, SAME, "192.0.2.2")
    assert len(_events(store, server.id)) == 1


def test_a_restart_goes_on_when_the_boot_before_was_silent(store: Store, register, clock) -> None:
    server = register()
    meet(store.clones, server.id, OWN, "192.0.2.1")
    clock.time += 44
    with pytest.raises(BootChangedError):
        meet(store.clones, server.id, SAME, "192.0.2.1")
    clock.time += 1
    meet(store.clones, server.id, SAME, "192.0.2.1")
    assert _events(store, server.id) == []


def test_what_a_control_plane_that_was_away_missed_is_no_silence(store: Store, register, clock) -> None:
    server = register()
    meet(store.clones, server.id, OWN, "192.0.2.1")
    clock.time += 3600
    fresh = Clones(store.database)
    with pytest.raises(BootChangedError):
        meet(fresh, server.id, SAME, "192.0.2.1")
    clock.time += 45
    meet(fresh, server.id, SAME, "192.0.2.1")


def test_each_of_many_is_judged_for_itself(store: Store, register) -> None:
    """Also where several claim the same source server: the first one is it."""
    first, second = register("a").id, register("b").id
    good = [_claim(first, OWN), _claim(second, None, letter="b"), _claim(second, OTHER, letter="b")]
    clone = _claim(first, OTHER, "192.0.2.9")
    wrong = [_claim(second, OWN), _claim("s-none", OWN)]
    refused = store.clones.check([*good, clone, *wrong])
    assert {claim: type(error) for claim, error in refused.items()} == {
        clone: ClonedAgentError, **dict.fromkeys(wrong, AgentIdentityError),
    }  # fmt: skip
    assert len(_events(store, first)) == 1
    assert _events(store, second) == []
    known = [store.servers.get(source).bearers for source in (first, second)]
    assert [bearers and bearers.own for bearers in known] == [OWN, OTHER]


def test_a_server_that_is_removed_is_gone_for_its_agent(store: Store, register) -> None:
    claim = _claim(register().id, None)
    assert store.clones.check([claim]) == {}
    store.servers.remove(claim.source)
    assert list(store.clones.check([claim])) == [claim]
    assert store.clones.check([]) == {}
