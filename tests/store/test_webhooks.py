"""Webhooks and what they are still to be told, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.core import delivery
from rehost.core.delivery import Answer
from rehost.core.errors import InvalidValueError, NotFoundError, WebhookQuotaError
from rehost.core.job import Event
from rehost.core.webhook import Notice
from rehost.store.deliveries import CLAIM, KEPT, Pending
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Page
from rehost.store.runs import RunType
from rehost.store.serverrow import SourceServer
from rehost.store.store import Store
from rehost.store.webhooks import Webhook
from tests.store.conftest import Clock

YES = Answer(204, "", 0.1)
NO = Answer(500, "the receiver answered 500", 0.1)
URL = "https://hooks.example.com/rehost?team=web"

Register = Callable[..., SourceServer]


def hook(store: Store, *patterns: str, account: str = "one") -> Webhook:
    return store.webhooks.create(account, URL, patterns, "LTAI1")


def started(store: Store, register: Register) -> str:
    """A job that was created and started, of a source server that was registered."""
    job = store.jobs.create("one", JobSpec(register().id, name="move"), None, "LTAI1")
    store.jobs.apply(job.id, Event.START, "LTAI1", "by hand")
    return job.id


def tell(store: Store, hook: str, answer: Answer = YES) -> Pending | None:
    """One attempt, if there is something to be told."""
    pending = store.deliveries.next(hook)
    claim = store.deliveries.claim(pending) if pending is not None else None
    if pending is None or claim is None:
        return None
    store.deliveries.record(pending, claim, answer, 1.0)
    return pending


def told(store: Store, hook: str) -> list[str]:
    found = []
    while pending := tell(store, hook):
        found.append(pending.message.type)
    return found


def test_a_hook_hears_of_what_happens_after_it_was_made(store: Store, register: Register) -> None:
    register("b")
    made = hook(store)
    assert store.deliveries.due() == ()
    job = started(store, register)
    assert store.deliveries.due() == (made.id,)
    assert told(store, made.id) == ["source.register", "job.create", "job.start"]
    assert store.deliveries.due() == ()
    store.jobs.apply(job, Event.PREPARED, "rehost")
    store.jobs.apply(job, Event.FAIL, "rehost", "no room")
    store.jobs.apply(job, Event.DELETE, "LTAI1")
    store.jobs.remove(job)
    assert told(store, made.id) == ["job.prepared", "job.fail", "job.delete", "job.remove"]


def test_a_notice_has_all_of_its_event(store: Store, register: Register, clock: Clock) -> None:
    made = hook(store, "Running/Preparing", "job.remove")
    job = store.jobs.create("one", JobSpec(register().id, name="move"), None, "LTAI1")
    clock.time += 7
    run = store.runs.begin(job.id, Event.START, RunType.MANUAL, "k")
    pending = tell(store, made.id)
    assert pending is not None
    assert replace(pending.notice, id=0) == Notice(
        id=0, at=clock.time, subject=job.id, account="one", name="move", run=run.id, actor="k", what="START",
        state="Running/Preparing", detail="", before="Ready", before_seconds=7.0,
    )  # fmt: skip
    store.jobs.apply(job.id, Event.FAIL, "rehost")
    store.jobs.apply(job.id, Event.DELETE, "k")
    store.jobs.remove(job.id)
    gone = tell(store, made.id)
    assert gone is not None
    assert (gone.notice.name, gone.notice.run, gone.notice.account) == ("move", run.id, "one")


def test_other_accounts_hear_nothing(store: Store, register: Register) -> None:
    mine, other = hook(store), hook(store, account="two")
    started(store, register)
    assert store.deliveries.due() == (mine.id,)
    assert store.deliveries.next(other.id) is None
    with pytest.raises(NotFoundError):
        store.webhooks.get("two", mine.id)
    for act in (store.webhooks.delete, store.webhooks.test):
        with pytest.raises(NotFoundError):
            act("two", mine.id, "k")
    with pytest.raises(NotFoundError):
        store.webhooks.enable("two", mine.id, False, "k")


def test_what_is_not_wanted_is_passed_over(store: Store, register: Register) -> None:
    made, server = hook(store, "job.start"), register("b")
    for number in range(450):  # more than one look
        store.events.add(server.id, "k", f"NOISE {number}")
    job = started(store, register)
    assert told(store, made.id) == ["job.start"]
    store.events.add(job, "rehost", "IMAGES KEPT", "in use")
    assert store.deliveries.due() == (made.id,)
    assert told(store, made.id) == []
    assert store.deliveries.due() == ()


def test_a_failure_is_repeated_with_the_same_message(store: Store, register: Register, clock: Clock) -> None:
    made = hook(store)
    started(store, register)
    first = tell(store, made.id, NO)
    assert first is not None
    assert tell(store, made.id) is None  # it waits
    assert store.webhooks.get("one", made.id).reason == NO.error
    clock.time += delivery.wait(1, 1.0)
    again = tell(store, made.id)
    assert again is not None
    assert again.message == first.message
    assert store.webhooks.get("one", made.id).reason == ""
    newest, oldest = store.deliveries.of(made.id, Page()).items
    assert (newest.status, newest.error, newest.attempt) == (204, "", 2)
    assert (oldest.status, oldest.error, oldest.attempt) == (500, NO.error, 1)
    assert newest.message == oldest.message


def test_one_process_at_a_time_has_a_hook(store: Store, register: Register, clock: Clock) -> None:
    made = hook(store)
    started(store, register)
    mine, others = (store.deliveries.next(made.id) for _ in range(2))
    assert mine is not None
    assert others is not None
    claim = store.deliveries.claim(mine)
    assert claim is not None
    assert store.deliveries.claim(others) is None
    assert store.deliveries.due() == ()
    clock.time += CLAIM + 1  # the first one stands still, or was killed
    later = store.deliveries.claim(others)
    assert later is not None
    assert store.deliveries.record(others, later, YES, 1.0)
    assert not store.deliveries.record(mine, claim, NO, 1.0)  # too late: it changes nothing
    assert store.deliveries.claim(mine) is None
    assert told(store, made.id) == ["job.create", "job.start"]
    assert store.deliveries.of(made.id, Page()).total == 3


def test_a_hook_that_fails_for_three_days_is_disabled(store: Store, register: Register, clock: Clock) -> None:
    made, other = hook(store), hook(store, "webhook.disable")
    started(store, register)
    begin = clock.time
    while tell(store, made.id, NO):
        clock.time += delivery.LONGEST_WAIT
    shown = store.webhooks.get("one", made.id)
    assert not shown.enabled
    assert "attempts in 3 days failed" in shown.reason
    assert delivery.GIVE_UP <= clock.time - begin <= delivery.GIVE_UP + 2 * delivery.LONGEST_WAIT
    assert told(store, other.id) == ["webhook.disable"]
    last = store.events.of(made.id)[-1]
    assert (last.what, last.actor, last.detail) == ("DISABLE", "rehost", shown.reason)
    store.webhooks.enable("one", made.id, True, "LTAI1")
    lost = {"webhook.create", "source.register", "job.create", "job.start"} - set(told(store, made.id))
    assert not lost


def test_a_receiver_that_is_gone_disables_its_hook(store: Store, register: Register) -> None:
    made = hook(store)
    started(store, register)
    tell(store, made.id, Answer(410, "the receiver answered 410", 0.1))
    assert "gone" in store.webhooks.get("one", made.id).reason
    assert store.deliveries.due() == ()


def test_a_disabled_hook_hears_nothing_until_it_is_enabled(store: Store, register: Register) -> None:
    made = hook(store, "job.*")
    pending_before = started(store, register)
    store.webhooks.enable("one", made.id, False, "LTAI1")
    assert store.deliveries.due() == ()
    assert store.deliveries.next(made.id) is None
    store.webhooks.enable("one", made.id, True, "LTAI1")
    assert told(store, made.id) == ["job.create", "job.start"]
    assert store.jobs.get(pending_before).spec.name == "move"


def test_a_test_reaches_its_hook_whatever_it_wants(store: Store) -> None:
    made, other = hook(store, "InError"), hook(store)
    store.webhooks.test("one", made.id, "LTAI1")
    assert told(store, made.id) == ["webhook.test"]
    assert "webhook.test" not in told(store, other.id)


def test_the_last_attempts_are_kept(store: Store, register: Register) -> None:
    made = hook(store)
    server = register()
    for number in range(KEPT + 5):
        store.events.add(server.id, "k", f"N{number}")
    assert len(told(store, made.id)) == KEPT + 6
    kept = store.deliveries.of(made.id, Page(1, 50))
    assert kept.total == KEPT
    assert kept.items[0].type == f"source.n{KEPT + 4}"


def test_a_deleted_hook_takes_its_attempts_along(store: Store, register: Register) -> None:
    made = hook(store)
    started(store, register)
    tell(store, made.id)
    pending = store.deliveries.next(made.id)
    assert pending is not None
    claim = store.deliveries.claim(pending)
    assert claim is not None
    store.webhooks.delete("one", made.id, "LTAI1")
    assert not store.deliveries.record(pending, claim, YES, 1.0)
    assert store.deliveries.of(made.id, Page()).total == 0
    with pytest.raises(NotFoundError):
        store.webhooks.delete("one", made.id, "LTAI1")


def test_an_account_takes_its_hooks_along(store: Store) -> None:
    account = store.accounts.create("web").id
    made = hook(store, account=account)
    store.webhooks.test(account, made.id, "k")
    tell(store, made.id)
    store.accounts.delete(account)
    assert store.webhooks.find(account, Page()).total == 0
    assert store.deliveries.of(made.id, Page()).total == 0


def test_an_account_has_so_many_hooks(store: Store) -> None:
    store.webhooks.create("one", URL, (), "k", quota=1)
    with pytest.raises(WebhookQuotaError, match="has 1 webhooks"):
        store.webhooks.create("one", URL, (), "k", quota=1)
    store.webhooks.create("two", URL, (), "k", quota=1)


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.com", "ftp://x/", "https:///x", "http://h:99999/", "http://h:0/", "https://h/ x",
     "https://ü.example/", "http://[::1", "https://h/" + "x" * 2048, "https://ann:pw@h/"],
)  # fmt: skip
def test_an_url_that_nothing_can_be_sent_to(store: Store, url: str) -> None:
    with pytest.raises(InvalidValueError, match="URL"):
        store.webhooks.create("one", url, (), "k")


def test_secrets_are_sealed_and_follow_a_new_key(records: Path | str, clock: Clock) -> None:
    keys = [bytes(32)]
    store = Store.open(records, lambda: keys, clock)
    made = hook(store)
    assert made.secret not in repr(made)
    keys.insert(0, b"n" * 32)
    assert store.reseal() == 1
    keys.pop()
    assert store.webhooks.get("one", made.id).secret == made.secret
    store.close()
