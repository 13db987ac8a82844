"""Deliveries over real HTTP: in order, signed, repeated, and none held up by another receiver."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehost.core.agentapi import Register
from rehost.core.delivery import FIRST_WAIT, LONGEST_WAIT
from rehost.core.job import Event
from rehost.flow.post import Poster
from rehost.flow.webhooks import WebhookDispatcher
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Page
from rehost.store.store import Store
from rehost.store.webhooks import Webhook
from tests.flow.receiver import Receiver, receiving
from tests.flow.world import INVENTORY


class Clock:
    """The real time, moved by what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Site:
    """Records, a job in them, and the dispatcher."""

    def __init__(self, records: Path | str) -> None:
        self.clock = Clock()
        self.store = Store.open(records, bytes(32), self.clock)
        self.dispatcher = WebhookDispatcher(self.store, Poster(local=True, timeout=1.0), lambda: 1.0)
        _, code = self.store.codes.create("one", "test")
        self.source = self.store.servers.register(Register(code, "a" * 64, INVENTORY, "0.1")).id

    def hook(self, url: str, *patterns: str) -> Webhook:
        return self.store.webhooks.create("one", url, patterns, "LTAI1")

    def job(self, *events: Event) -> str:
        job = self.store.jobs.create("one", JobSpec(self.source, name="move"), None, "LTAI1").id
        for event in events:
            self.store.jobs.apply(job, event, "rehost", "why")
        return job

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            self.dispatcher.wake()
            time.sleep(0.02)

    def close(self) -> None:
        self.dispatcher.close()
        self.store.close()


@pytest.fixture
def site(records: Path | str) -> Iterator[Site]:
    made = Site(records)
    made.dispatcher.start()
    yield made
    made.close()


WHOLE = (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.CLEANED)


def test_all_events_in_their_order_and_signed(site: Site) -> None:
    with receiving() as receiver:
        hook = site.hook(receiver.url + "?team=web")
        job = site.job(*WHOLE)
        expected = ["job.create", "job.start", "job.prepared", "job.synced", "job.processed", "job.cleaned"]
        site.until(lambda: receiver.types() == expected)
        assert all(received.proves(hook.secret) for received in receiver.received)
        assert not any(received.proves("whsec_" + "A" * 44) for received in receiver.received)
        assert len({received.id for received in receiver.received}) == len(expected)
        last = receiver.received[-1]
        assert abs(last.sent - time.time()) < 60
        assert last.path == "/hook?team=web"
        assert last.headers["content-type"] == "application/json"
        data = last.content["data"]
        assert (data["JobId"], data["Name"], data["Account"]) == (job, "move", "one")
        assert (data["Status"], data["PreviousState"], data["Actor"]) == (
            "Finished",
            "Running/Cleaning",
            "rehost",
        )
        assert (data["Detail"], data["PreviousStateSeconds"] >= 0) == ("why", True)
        site.until(lambda: site.store.deliveries.of(hook.id, Page()).total == len(expected))


def test_a_receiver_that_fails_twice(site: Site) -> None:
    with receiving() as receiver:
        receiver.answers = lambda received: 500 if len(receiver.received) <= 2 else 204
        hook = site.hook(receiver.url, "job.create", "job.start")
        site.job(Event.START)
        for attempts in (1, 2):
            site.until(lambda attempts=attempts: attempts_of(site, hook) == attempts)
            assert len(receiver.received) == attempts  # it waits
            site.clock.ahead += 2 * FIRST_WAIT
        site.until(lambda: len(receiver.received) == 4)
        assert receiver.types() == ["job.create"] * 3 + ["job.start"]
        assert len({received.id for received in receiver.received[:3]}) == 1
        assert len({received.body for received in receiver.received[:3]}) == 1
        assert all(received.proves(hook.secret) for received in receiver.received)
        first, *_, last = receiver.received
        assert last.sent - first.sent >= 4 * FIRST_WAIT - 1  # each attempt is signed anew


def attempts_of(site: Site, hook: Webhook) -> int:
    return site.store.webhooks.get("one", hook.id).attempts


def reason_of(site: Site, hook: Webhook) -> str:
    return site.store.webhooks.get("one", hook.id).reason


def test_a_receiver_that_hangs_holds_no_other(site: Site) -> None:
    with receiving() as slow, receiving() as quick:
        slow.answers = slow.hang
        hanging = [site.hook(slow.url) for _ in range(5)]
        site.hook(quick.url, "job.*")
        site.job(*WHOLE)
        site.until(lambda: len(slow.received) >= 5 and len(quick.received) == 6)
        site.until(lambda: all(attempts_of(site, hook) for hook in hanging))
        assert reason_of(site, hanging[0]) == "no answer within 1 s"


def test_redirects_are_not_followed(site: Site) -> None:
    with receiving(lambda received: 307) as receiver:
        hook = site.hook(receiver.url)
        site.job()
        site.until(lambda: attempts_of(site, hook))
        assert reason_of(site, hook) == "the receiver answered 307: redirects are not followed"
        assert {received.path for received in receiver.received} == {"/hook"}


def test_a_receiver_that_was_away_hears_of_all(site: Site) -> None:
    receiver = Receiver()
    hook = site.hook(receiver.url, "job.*")
    job = site.job()
    site.until(lambda: len(receiver.received) == 1)
    receiver.close()
    site.store.jobs.apply(job, Event.START, "rehost")
    site.until(lambda: attempts_of(site, hook))
    assert reason_of(site, hook).startswith("no answer: ")
    site.store.jobs.apply(job, Event.PREPARED, "rehost")
    back = Receiver(port=receiver.port)
    try:
        site.clock.ahead += LONGEST_WAIT
        site.until(lambda: len(back.received) == 2)
        assert back.types() == ["job.start", "job.prepared"]
    finally:
        back.close()


def test_a_hook_to_this_host_is_not_called_unless_it_is_allowed(site: Site) -> None:
    with receiving() as receiver:
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"):
            answer = Poster()(f"http://{host}:{receiver.port}/", {}, b"{}")
            assert answer.status is None
            assert "an address of the control plane's own host" in answer.error
            assert "limits.json" in answer.error
        assert receiver.received == []
    assert "link-local or metadata" in Poster()("http://169.254.169.254/latest/meta-data", {}, b"").error


def test_a_name_that_does_not_exist_is_an_answer_too() -> None:
    answer = Poster(timeout=5.0)("https://rehost.invalid/", {}, b"{}")
    assert (answer.status, answer.delivered) == (None, False)
    assert answer.error
