"""Who this agent is: its source id, the secret that proves it, and where its control plane is."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from rehost.block import durable
from rehost.core.clones import Hardware
from rehost.core.errors import AgentIdentityError

STATE = Path("/var/lib/rehost-agent")
_FILE = "identity.json"


@dataclass(frozen=True, slots=True)
class Identity:
    endpoint: str  # https://host:port
    ca: str  # PEM of the certificate authority that signs the control plane's certificate
    secret: str = field(repr=False)  # 64 hex digits
    source_id: str = ""  # empty: the registration has not been answered yet
    hardware: Hardware | None = None  # of the machine that it was made for

    @property
    def authorization(self) -> str:
        return f"Bearer {self.source_id}:{self.secret}"


def load(state: Path) -> Identity | None:
    """The identity kept in the state folder; None: this agent was never registered.

    AgentIdentityError for a file that cannot be read or is damaged.
    """
    path = state / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AgentIdentityError(f"{path} cannot be read: {error.strerror}", "run as root") from error
    except msgspec.DecodeError as error:
        raise AgentIdentityError(
            f"{path} is damaged: {error}", f"remove {path} and register again with a new code"
        ) from error


def registered(state: Path) -> Identity:
    """The identity of a registered agent; AgentIdentityError when it is not registered."""
    identity = load(state)
    if identity is None or not identity.source_id:
        raise AgentIdentityError(
            f"this server is not registered (no source id in {state})",
            "run: rehost-agent register --endpoint URL --ca FILE CODE",
        )
    return identity


def prepare(
    state: Path, endpoint: str, ca: str, hardware: Hardware | None = None, *, anew: bool = False
) -> Identity:
    """The identity to register with, on the disk before anyone hears of its secret.

    A registration whose answer was lost is repeated with the same secret, so that it stays one source server
    and costs one activation. Another control plane (another authority) gets a secret of its own. So does a
    clone: another machine or, where `hardware` does not tell, what is to be registered `anew`.
    """
    known = load(state)
    if known is not None and known.ca == ca and not anew and not _is_of_another(known, hardware):
        identity = replace(known, endpoint=endpoint, hardware=known.hardware or hardware)
    else:
        identity = Identity(endpoint, ca, os.urandom(32).hex(), hardware=hardware)
    if identity != known:
        save(state, identity)
    return identity


def _is_of_another(known: Identity, hardware: Hardware | None) -> bool:
    return bool(known.hardware and hardware and known.hardware.differs(hardware))


def save(state: Path, identity: Identity) -> None:
    durable.make_folder(state, 0o700)
    durable.write_file(state / _FILE, msgspec.json.encode(identity), 0o600)
