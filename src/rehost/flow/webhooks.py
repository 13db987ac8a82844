"""Tells webhooks of events: signed as Standard Webhooks says, in order, until the receiver has said 2xx."""

import logging
import random
import threading
from collections.abc import Callable, Mapping

from rehost import __version__
from rehost.block.crashpoint import reach
from rehost.core.delivery import Answer
from rehost.core.webhook import sign
from rehost.flow.ticker import Ticker
from rehost.store.deliveries import Pending
from rehost.store.store import Store

TICK = 1.0  # seconds between two looks at what is to be told
MOST = 32  # hooks that are told at the same time: more than one account can have
IN_A_ROW = 100  # messages to one hook before others have their turn
LEAVE = 2.0  # seconds that the end of the service waits for attempts; they are repeated at the next start

Post = Callable[[str, Mapping[str, str], bytes], Answer]  # URL, headers, body

_log = logging.getLogger(__name__)


class WebhookDispatcher:
    """Each hook has a thread of its own while there is something to tell it: a slow one holds no others."""

    def __init__(self, store: Store, post: Post, chance: Callable[[], float] = random.random) -> None:
        self._store = store
        self._post = post
        self._chance = chance
        self._busy: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()
        self._ticker = Ticker("webhooks", self.tick, TICK)

    def start(self) -> None:
        self._ticker.start()

    def wake(self) -> None:
        """Look now instead of at the next tick."""
        self._ticker.wake()

    def close(self) -> None:
        self._stopping.set()
        self._ticker.close()
        for thread in list(self._busy.values()):
            thread.join(LEAVE)

    def tick(self) -> None:
        """Begin to tell those hooks that are due."""
        self._busy = {hook: thread for hook, thread in self._busy.items() if thread.is_alive()}
        due = [hook for hook in self._store.deliveries.due() if hook not in self._busy]
        for hook in due[: MOST - len(self._busy)]:
            thread = threading.Thread(target=self._tell, args=(hook,), name=f"webhook {hook}", daemon=True)
            self._busy[hook] = thread
            thread.start()

    def _tell(self, hook: str) -> None:
        try:
            for _ in range(IN_A_ROW):
                if self._stopping.is_set() or not self._tell_next(hook):
                    return
        except Exception:  # noqa: BLE001  the database is away: the hook is due still
            _log.exception("webhook %s could not be told; it is tried again", hook)

    def _tell_next(self, hook: str) -> bool:
        """Whether there may be more to tell now."""
        pending = self._store.deliveries.next(hook)
        claim = self._store.deliveries.claim(pending) if pending is not None else None
        if pending is None or claim is None:
            return False
        headers = _headers(pending, int(self._store.database.now()))
        answer = self._post(pending.hook.url, headers, pending.message.body)
        reach("webhook.answered")
        return self._store.deliveries.record(pending, claim, answer, self._chance())


def _headers(pending: Pending, now: int) -> dict[str, str]:
    told = pending.message
    return {
        "Content-Type": "application/json",
        "User-Agent": f"rehost/{__version__}",
        "webhook-id": told.id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(pending.hook.secret, told.id, now, told.body),
    }
