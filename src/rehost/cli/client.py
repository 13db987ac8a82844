"""A small client of the SMC API: signed requests over TLS that trusts one authority."""

import hashlib
import http.client
import json
import os
import secrets
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from rehost.agent.control import host_and_port, unreachable
from rehost.api import signature
from rehost.cli.keyring import pin_of
from rehost.core.errors import ControlPlaneError, InvalidValueError, ReportedError
from rehost.wire.https import PinnedConnection
from rehost.wire.tls import client_context

VERSION = "2019-06-01"
TIMEOUT = 30.0  # seconds for connecting and for each answer
PAGE = 50  # rows; the most that a page may have
CONFIG = Path("~/.config/rehost/config.json")
LOCAL = Path("/var/lib/rehost/first-access-key.json")
ENVIRONMENT = {
    "Endpoint": "REHOST_ENDPOINT",
    "AccessKeyId": "REHOST_ACCESS_KEY_ID",
    "AccessKeySecret": "REHOST_ACCESS_KEY_SECRET",
    "CaFile": "REHOST_CA",
}
TOKEN = ("SecurityToken", "REHOST_SECURITY_TOKEN")  # goes with temporary keys only

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the control plane is, and who is asking."""

    endpoint: str  # https://HOST:PORT
    access_key_id: str
    access_key_secret: str = field(repr=False)  # kept out of logs and tracebacks
    ca_pem: str = field(repr=False)
    security_token: str = field(repr=False, default="")  # of a temporary key


def load_profile(file: Path | None = None) -> Profile:
    """The profile of a file, or of the environment, the user's configuration, or this host's own server.

    InvalidValueError when there is none, or one that lacks something.
    """
    if file is None and any(name in os.environ for name in ENVIRONMENT.values()):
        variables = (*ENVIRONMENT.items(), TOKEN)
        return _profile({key: os.environ.get(name, "") for key, name in variables}, "the environment")
    candidates = [CONFIG.expanduser(), LOCAL] if file is None else [file]
    found = next((path for path in candidates if os.access(path, os.R_OK)), None)
    if found is None:
        raise InvalidValueError(
            f"no access key: {' and '.join(map(str, candidates))} cannot be read",
            f"give --profile-file with the first-access-key.json of `rehost serve`, copy it to {CONFIG},"
            f" or set {', '.join(ENVIRONMENT.values())}",
        )
    return _profile(_read_json(found), str(found))


def _read_json(path: Path) -> Mapping[str, str]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"the profile {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidValueError(f"the profile {path} is not a JSON object")
    return cast(Mapping[str, str], content)


def _profile(values: Mapping[str, str], where: str) -> Profile:
    missing = [key for key in ENVIRONMENT if not values.get(key)]
    if missing:
        names = ", ".join(f"{key} ({ENVIRONMENT[key]})" for key in missing)
        raise InvalidValueError(f"the profile of {where} lacks {names}", "add what is missing")
    ca = Path(values["CaFile"]).expanduser()
    try:
        ca_pem = ca.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(
            f"the certificate authority {ca} cannot be read: {error}",
            "CaFile is the path of keys/ca.crt, copied from the control plane's data folder",
        ) from error
    key_id, secret = values["AccessKeyId"], values["AccessKeySecret"]
    return Profile(values["Endpoint"], key_id, secret, ca_pem, values.get(TOKEN[0], ""))


class Client:
    """Calls actions; every call is one signed request on a connection of its own."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.host, self.port = host_and_port(profile.endpoint)
        try:
            self._context = client_context(profile.ca_pem)
        except ssl.SSLError as error:
            raise InvalidValueError(f"the profile's CaFile is not a certificate: {error}") from error

    def call(self, action: str, parameters: Mapping[str, object] | None = None) -> Reply:
        """The reply's fields; ReportedError with the API's Code, Message and Recommend,
        ControlPlaneError when there is no answer."""
        query = [(name, text(value)) for name, value in (parameters or {}).items() if value is not None]
        status, body = self._exchange(query, self._headers(action, query))
        try:
            reply: Reply = json.loads(body)
        except ValueError:
            raise ControlPlaneError(
                f"{self._profile.endpoint} answered {action} with status {status} and no JSON",
                "check that this is the address of a rehost control plane",
            ) from None
        if status >= 400:
            raise ReportedError(
                reply.get("Code", "Unknown"), reply.get("Message", ""), reply.get("Recommend", "")
            )
        return reply

    def each(self, action: str, root: str, parameters: Mapping[str, object]) -> Iterator[Reply]:
        """All rows of a listing, page by page: `root` is SourceServers or ReplicationJobs."""
        page, seen = 1, 0
        while True:
            reply = self.call(action, {**parameters, "PageNumber": page, "PageSize": PAGE})
            rows = reply[root][root.removesuffix("s")]
            yield from rows
            seen += len(rows)
            if not rows or seen >= reply["TotalCount"]:
                return
            page += 1

    def pin(self) -> str:
        """The fingerprint of the control plane's key as `curl --pinnedpubkey` takes it; looked at in a
        connection that its authority vouches for."""
        connection = PinnedConnection(self.host, self.port, self._context, TIMEOUT)
        try:
            connection.connect()
            return pin_of(x509.load_der_x509_certificate(connection.certificate()))
        except OSError as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _headers(self, action: str, query: list[tuple[str, str]]) -> dict[str, str]:
        body_hash = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": f"{self.host}:{self.port}",
            "x-acs-action": action,
            "x-acs-content-sha256": body_hash,
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": VERSION,
        }
        if self._profile.security_token:
            headers["x-acs-security-token"] = self._profile.security_token
        names = sorted(headers)
        to_sign = signature.string_to_sign_v3("POST", query, headers, names, body_hash)
        signed = signature.sign_v3(to_sign, self._profile.access_key_secret)
        headers["Authorization"] = (
            f"{signature.V3} Credential={self._profile.access_key_id},"
            f"SignedHeaders={';'.join(names)},Signature={signed}"
        )
        return headers

    def _exchange(self, query: list[tuple[str, str]], headers: dict[str, str]) -> tuple[int, bytes]:
        connection = PinnedConnection(self.host, self.port, self._context, TIMEOUT)
        try:
            connection.request("POST", f"/?{signature.canonical_query(query)}", headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> ControlPlaneError:
        return unreachable(
            self._profile.endpoint,
            error,
            "the profile's CaFile did not sign",
            "copy keys/ca.crt from the control plane's data folder again",
        )


def text(value: object) -> str:
    """A parameter as the API reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
