"""The audit entry of one request, as what belongs into it becomes known."""

import time
from dataclasses import replace

import structlog

from rehost.core.ram.arn import Arn
from rehost.store.audit import DONE, AuditEntry, AuditTrail
from rehost.store.keys import AccessKey

_log = structlog.get_logger()


class Audited:
    """Nothing is written of a request whose caller is not known."""

    def __init__(self, trail: AuditTrail, request_id: str, now: float, address: str) -> None:
        self._trail = trail
        self._started = time.monotonic()
        self._entry = AuditEntry(now, request_id, "", "", "", "", (), address)
        self._begun = self._ended = False

    def by(self, key: AccessKey, action: str) -> None:
        """`action`: with its service, smc:StartReplicationJob."""
        self._entry = replace(self._entry, account=key.account, principal=key.who, key=key.id, action=action)

    def on(self, resources: tuple[Arn, ...]) -> None:
        self._entry = replace(self._entry, resources=tuple(map(str, resources)))

    @property
    def entry(self) -> AuditEntry:
        return self._entry

    def begun(self) -> None:
        """The entry is in the database already."""
        self._begun = True

    def write_done(self) -> None:
        """The entry and its end, as a part of the transaction that the caller is in; `ended` when that is
        durable."""
        self._trail.write(replace(self._entry, code=DONE, seconds=self._seconds()))

    def ended(self) -> None:
        self._ended = True

    def end(self, code: str) -> None:
        """Never raises: what was done is done, and its caller has to hear of it."""
        if self._ended or not self._entry.key:
            return
        seconds = self._seconds()
        try:
            if self._begun:
                self._trail.finish(self._entry.request_id, code, seconds)
            else:
                self._trail.add(replace(self._entry, code=code, seconds=seconds))
        except Exception:  # noqa: BLE001
            _log.exception("the audit trail lacks an end", request_id=self._entry.request_id, code=code)

    def _seconds(self) -> float:
        return time.monotonic() - self._started
