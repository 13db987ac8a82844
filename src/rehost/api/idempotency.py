"""ClientToken: which requests are the same one."""

import hashlib

import msgspec

from rehost.api.values import Values
from rehost.store.tokens import Token


def token_of(action: str, values: Values) -> Token | None:
    """None without a ClientToken. Requests are the same when all their described parameters are."""
    text = values.text("ClientToken")
    if not text:
        return None
    plain = msgspec.json.encode(values.plain(), order="sorted")
    return Token(action, text, hashlib.sha256(plain).hexdigest())
