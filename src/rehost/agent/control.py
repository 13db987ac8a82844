"""The agent's HTTPS client of the control plane: one connection, requests as values, errors as errors."""

import http.client
import logging
import random
import ssl
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from rehost.core import clones
from rehost.core.agentapi import (
    ASSIGNMENT_WAIT,
    AssignmentAnswer,
    ErrorReport,
    Heartbeat,
    HeartbeatAnswer,
    Progress,
    Register,
    Registered,
    Result,
)
from rehost.core.clones import Boot
from rehost.core.errors import ControlPlaneError, InvalidValueError, ReportedError
from rehost.wire import tls
from rehost.wire.https import PinnedConnection

TIMEOUT = 15.0  # seconds for connecting and for each answer
_NOT_NOW = 503
_LETTING_GO = 1.0  # seconds for a thread to notice that its connection is closed
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries

T = TypeVar("T")
log = logging.getLogger(__name__)


class RefusedError(ReportedError):
    """The control plane understood the request and refused it (4xx): asking again would not help."""

    def __init__(self, status: int, report: ErrorReport) -> None:
        super().__init__(report.code, report.what, report.advice)
        self.status = status


class ControlClient:
    """Requests of one thread over one kept connection.

    Every method raises ControlPlaneError when the control plane cannot be reached, breaks off or is out of
    order, and RefusedError when it says no.
    """

    def __init__(
        self,
        endpoint: str,
        ca: str,
        authorization: str = "",
        timeout: float = TIMEOUT,
        boot: Boot | None = None,
    ) -> None:
        """`boot`: of the machine that this agent works for; without it nobody tells a clone from it."""
        self.host, self.port = host_and_port(endpoint)
        self._context = _context(ca)
        self._headers = {"Authorization": authorization} if authorization else {}
        self._headers |= {clones.HEADER: boot.header()} if boot else {}
        self._timeout = timeout
        self._connection: PinnedConnection | None = None
        self._busy = threading.Lock()
        self.closed = False

    def register(self, request: Register) -> Registered:
        return self._call("POST", "/agent/v1/register", Registered, request)

    def heartbeat(self, request: Heartbeat) -> HeartbeatAnswer:
        return self._call("POST", "/agent/v1/heartbeat", HeartbeatAnswer, request)

    def assignment(self, version: int, wait: int = ASSIGNMENT_WAIT) -> AssignmentAnswer:
        """The assignment when it is not `version` any more, or what it is after `wait` seconds."""
        path = f"/agent/v1/assignment?version={version}&wait={wait}"
        return self._call("GET", path, AssignmentAnswer, extra_time=wait)

    def progress(self, request: Progress) -> None:
        self._call("POST", "/agent/v1/progress", msgspec.Raw, request)

    def result(self, request: Result) -> None:
        self._call("POST", "/agent/v1/result", msgspec.Raw, request)

    def close(self) -> None:
        """For good, and from any thread: an answer that is being waited for breaks off."""
        self.closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        if self._busy.acquire(timeout=_LETTING_GO):  # else it is connecting, and ends by its own timeout
            self._drop()
            self._busy.release()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _call(
        self, method: str, path: str, answer: type[T], request: object = None, extra_time: float = 0
    ) -> T:
        body = None if request is None else msgspec.json.encode(request)
        with self._busy:
            status, content = self._exchange(method, path, body, self._timeout + extra_time)
        place = f"the control plane at {self.host}:{self.port}"
        if status == _NOT_NOW:
            report = _error_report(status, content)
            raise ControlPlaneError(f"{place} is not ready for it: {report.what}", report.advice)
        if status >= 500:
            raise ControlPlaneError(
                f"{place} answered {status} to {path.partition('?')[0]}", "look at its log (rehost serve)"
            )
        if status >= 400:
            raise RefusedError(status, _error_report(status, content))
        try:
            return msgspec.json.decode(content or b"{}", type=answer)
        except msgspec.DecodeError as error:
            raise ControlPlaneError(
                f"{place} answered {path.partition('?')[0]} in a way that is not understood: {error}",
                "install the agent that this control plane serves",
            ) from error

    def _exchange(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        """One request and its answer.

        A kept connection may have been closed meanwhile: then once more on a new one, which is safe because
        every request of this API may be repeated.
        """
        kept = self._connection is not None
        try:
            return self._exchange_once(method, path, body, timeout)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            if kept and not self.closed and not isinstance(error, TimeoutError):
                return self._exchange(method, path, body, timeout)
            raise self._unreachable(error) from error

    def _exchange_once(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = PinnedConnection(self.host, self.port, self._context, self._timeout)
        connection = self._connection
        if connection.sock is None:
            connection.connect()
        if self.closed:  # looked at after connecting: `close` may have found nothing to interrupt before
            raise ConnectionAbortedError("this agent is ending")
        connection.allow(timeout)
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _unreachable(self, error: Exception) -> ControlPlaneError:
        return unreachable(
            f"the control plane at {self.host}:{self.port}",
            error,
            "this agent does not trust",
            "register again with the command that this control plane prints (rehost code create)",
        )


def unreachable(place: str, error: Exception, distrust: str, advice: str) -> ControlPlaneError:
    """What kept a call from getting there. `distrust` says of whom its certificate is not trusted, if it was
    that, and `advice` what to do then."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ControlPlaneError(
            f"{place} has a certificate that {distrust} ({error.verify_message})", advice
        )
    return ControlPlaneError(
        f"{place} cannot be reached: {error or type(error).__name__}",
        "check that `rehost serve` runs there and that no firewall is between",
    )


def host_and_port(endpoint: str) -> tuple[str, int]:
    """Of https://host:port; InvalidValueError for anything else."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none, a bracket too many
        host = port = None
    if not host or parts.scheme != "https" or parts.path.strip("/"):
        raise InvalidValueError(f"not an endpoint: {endpoint}", "write it as https://HOST:PORT")
    return host, port or 443


def _context(ca: str) -> ssl.SSLContext:
    try:
        return tls.client_context(ca)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidValueError(
            f"not a certificate in PEM: {error}", "give the control plane's ca.crt"
        ) from error


def _error_report(status: int, content: bytes) -> ErrorReport:
    try:
        return msgspec.json.decode(content, type=ErrorReport)
    except msgspec.DecodeError:
        text = content[:200].decode("utf-8", "replace").strip()
        return ErrorReport(
            ControlPlaneError.code,
            f"the control plane refused the request ({status}): {text}",
            "check that the endpoint is that of a rehost control plane",
        )


def persist(call: Callable[[], T], stop: threading.Event, what: str) -> T | None:
    """Repeat a call until the control plane answers, with growing pauses; None when `stop` is set first.

    A refusal (RefusedError) is raised at once.
    """
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            return call()
        except ControlPlaneError as error:
            if stop.is_set():
                return None
            log.warning("%s: %s (trying again in %.0f s)", what, error, pause)
        stop.wait(pause * random.uniform(0.75, 1.25))
        pause = min(pause * 2, LONGEST_PAUSE)
    return None
