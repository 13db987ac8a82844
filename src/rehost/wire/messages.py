"""What agent and receiver say to each other about chunks, as values; `docs/protocol.md` is the norm.

Volumes are numbered as in the ticket; chunks from 0; digests are BLAKE3 (32 bytes); sizes are bytes.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TypeAlias

from rehost.core.pages import PAGE

VERSION = 1
MAX_FRAME = (1 << 20) + (4 << 10)  # bytes of type and body
MAX_CHUNK = 1 << 20  # bytes of a chunk's content
MAX_TICKET = 8 << 10  # bytes
MAX_PAGES = MAX_CHUNK // PAGE
MAX_COUNT = 32768  # chunks that one Zero, DigestsRequest or Digests names
MAX_VOLUMES = 256
MAX_STREAMS = 64  # of one run
MAX_TEXT = 2 << 10  # bytes of each text of a Failure


class Role(Enum):
    """The two ends; the agent opens the connection."""

    AGENT = "agent"
    RECEIVER = "receiver"

    @property
    def peer(self) -> "Role":
        return Role.RECEIVER if self is Role.AGENT else Role.AGENT


class Encoding(IntEnum):
    RAW = 0
    ZSTD = 1  # one zstd frame that states its content size


@dataclass(frozen=True, slots=True)
class VolumeState:
    volume: int
    size: int  # bytes
    chunk: int  # bytes per chunk
    fresh: bool  # the journal is empty: there is nothing to compare with


@dataclass(frozen=True, slots=True)
class Hello:
    """The agent's first word: the newest version it speaks, its leave to write, and which stream this is.

    A run has at most one connection for each stream number (0, 1, ...): a newer one ends the older, so that
    what an agent sent before it reconnected cannot be written after what it sends now.
    """

    version: int
    ticket: str
    stream: int


@dataclass(frozen=True, slots=True)
class Welcome:
    """The version of this connection and the most bytes of frames that may be unacknowledged."""

    version: int
    window: int
    volumes: tuple[VolumeState, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """One whole chunk. A payload that came by `Connection.received` is lent until the next call for space."""

    seq: int  # from 1, one more than that of the Data, Zero or Patch before
    volume: int
    chunk: int
    digest: bytes  # of the content, not of the payload
    length: int  # of the content
    encoding: Encoding
    payload: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Zero:
    """Whole chunks whose content is zeroes."""

    seq: int
    volume: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to this Data, Zero or Patch is durable, content and journal."""

    seq: int


@dataclass(frozen=True, slots=True)
class DigestsRequest:
    volume: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Digests:
    """The journal's digests of chunks from `first`, joined; zeroes (ABSENT) for what is not durable."""

    volume: int
    first: int
    digests: bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """Everything is acknowledged and no chunk of any volume is absent: the agent asks for the roots."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The root of each volume in the ticket's order."""

    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the side that says so closes the connection; texts as in `core.errors`."""

    code: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Patch:
    """Pages of a chunk that is durable, to be laid over it. Its payload is lent as that of a Data."""

    seq: int
    volume: int
    chunk: int
    pages: int  # a set, see `core.pages`; not empty
    digest: bytes  # of the content: the pages, joined
    length: int  # of the content
    encoding: Encoding
    payload: bytes | memoryview


Message: TypeAlias = (
    Hello | Welcome | Data | Zero | Ack | DigestsRequest | Digests | Complete | Completed | Failure | Patch
)
