"""Secrets at rest: AES-256-GCM under a key that lies beside the database, never in it."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rehost.core.errors import DataFolderError

KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretBox:
    """Seals secrets; each is bound to the name of what it belongs to, so that rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, owner: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, owner.encode()).decode()
        except InvalidTag:
            raise DataFolderError(
                f"the secret of {owner} cannot be decrypted",
                "keys/secrets.key is not the one that this database was written with: restore the right one",
            ) from None
