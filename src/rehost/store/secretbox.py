"""Secrets at rest: AES-256-GCM under a key that lies beside the database, never in it."""

import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rehost.core.errors import DataFolderError

KEY_BYTES = 32
_NONCE_BYTES = 12

LoadKeys = Callable[[], Sequence[bytes]]  # the newest first


class SecretBox:
    """Seals secrets; each is bound to the name of what it belongs to, so that rows cannot be swapped.

    Seals by the newest key and opens by any. The keys are looked up again for each secret that is sealed, and
    when one cannot be opened: another process may have put a new key in the old one's place.
    """

    def __init__(self, load: LoadKeys) -> None:
        self._load = load
        self._ciphers: Sequence[AESGCM] = ()

    def seal(self, secret: str, owner: str) -> bytes:
        """Call it in the transaction that writes the secret: `resealing.reseal` says why."""
        nonce = os.urandom(_NONCE_BYTES)
        self._look_up()
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        secret = _open(self._ciphers, sealed, owner)
        if secret is None:
            self._look_up()
            secret = _open(self._ciphers, sealed, owner)
        if secret is None:
            raise DataFolderError(
                f"the secret of {owner} cannot be decrypted",
                "keys/secrets.key is not the one that this database was written with: restore the right one;"
                " if it was a systemd credential, the unit needs its LoadCredential= again",
            )
        return secret

    def _look_up(self) -> None:
        self._ciphers = tuple(map(AESGCM, self._load()))


def _open(ciphers: Sequence[AESGCM], sealed: bytes, owner: str) -> str | None:
    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    for cipher in ciphers:
        try:
            return cipher.decrypt(nonce, body, owner.encode()).decode()
        except InvalidTag:
            continue
    return None
