"""Resource ids as the API writes them: a prefix, a dash and 20 characters of 0-9 and a-z."""

import re
from enum import StrEnum

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 20
RANDOM_BYTES = 16  # more than 36**20 needs, so that the modulo's bias is below 2**-24

_PATTERN = re.compile(r"([a-z]+)-([0-9a-z]{20})")


class Kind(StrEnum):
    """The prefixes; s, j, m, i, at and w are the API's own."""

    SOURCE = "s"
    JOB = "j"
    IMAGE = "m"
    INSTANCE = "i"
    RUN = "r"
    ACTIVATION_CODE = "at"
    SNAPSHOT = "sp"
    WORKGROUP = "w"
    WEBHOOK = "wh"
    HOST = "h"


def make(kind: Kind, random: bytes) -> str:
    """An id of a kind from at least 16 random bytes."""
    if len(random) < RANDOM_BYTES:
        raise ValueError(f"an id needs {RANDOM_BYTES} random bytes, got {len(random)}")
    number, letters = int.from_bytes(random[:RANDOM_BYTES], "big"), []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return f"{kind}-{''.join(letters)}"


def is_id(text: str, kind: Kind) -> bool:
    match = _PATTERN.fullmatch(text)
    return match is not None and match[1] == kind
