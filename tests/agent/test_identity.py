"""The agent's identity: kept 0600, before anyone hears of the secret, and repeated rather than made anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from rehost.agent import identity
from rehost.core.clones import Hardware
from rehost.core.errors import AgentIdentityError

URL = "https://192.0.2.1:8443"


def test_the_secret_is_kept_before_it_is_used(tmp_path: Path) -> None:
    own = identity.prepare(tmp_path / "state", URL, "CA")
    assert identity.load(tmp_path / "state") == own
    assert len(bytes.fromhex(own.secret)) == 32
    assert own.source_id == ""


def test_only_root_can_read_it(tmp_path: Path) -> None:
    identity.prepare(tmp_path / "state", URL, "CA")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state/identity.json").stat().st_mode & 0o777 == 0o600


def test_a_repeated_registration_has_the_same_secret(tmp_path: Path) -> None:
    first = identity.prepare(tmp_path, URL, "CA")
    identity.save(tmp_path, replace(first, source_id="s-1"))
    again = identity.prepare(tmp_path, "https://198.51.100.1:1", "CA")
    assert (again.secret, again.source_id) == (first.secret, "s-1")
    assert again.endpoint == "https://198.51.100.1:1"


def test_another_control_plane_gets_another_secret(tmp_path: Path) -> None:
    first = identity.prepare(tmp_path, URL, "CA")
    assert identity.prepare(tmp_path, URL, "another CA").secret != first.secret


def test_nothing_shows_the_secret(tmp_path: Path) -> None:
    own = identity.prepare(tmp_path, URL, "CA")
    assert own.secret not in repr(own)
    assert own.secret in own.authorization


def test_an_unregistered_agent_is_told_how_to_register(tmp_path: Path) -> None:
    with pytest.raises(AgentIdentityError, match=r"not registered.*rehost-agent register"):
        identity.registered(tmp_path)
    identity.prepare(tmp_path, URL, "CA")  # asked, but never answered
    with pytest.raises(AgentIdentityError, match="not registered"):
        identity.registered(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text('{"endpoint": 1')
    with pytest.raises(AgentIdentityError, match=r"identity\.json is damaged.*remove"):
        identity.load(tmp_path)


def test_a_clone_registers_with_a_secret_of_its_own(tmp_path: Path) -> None:
    here, there = Hardware("1"), Hardware("2")
    first = identity.prepare(tmp_path, URL, "CA", here)
    assert identity.prepare(tmp_path, URL, "CA", here) == first
    assert identity.prepare(tmp_path, URL, "CA", here, anew=True).secret != first.secret
    again = identity.load(tmp_path)
    assert again is not None
    other = identity.prepare(tmp_path, URL, "CA", there)
    assert (other.secret != again.secret, other.hardware, other.source_id) == (True, there, "")
