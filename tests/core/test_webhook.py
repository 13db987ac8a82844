"""What hooks are told of, and how it is signed."""

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core import webhook
from rehost.core.errors import InvalidValueError
from rehost.core.job import JobState
from rehost.core.webhook import Notice, check_pattern, message, sign, wanted

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
HOOK = "wh-1"
START = Notice(
    7, 1_790_000_000.5, "j-1", "one", "move", "r-1", "LTAI1", "START", "Running/Preparing", "", "Ready", 2.25
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
NOTICES = st.builds(
    Notice,
    id=st.integers(1, 2**63 - 1), at=st.floats(0, 4e9), subject=st.sampled_from(("j-1", "s-1", "w-1", "x")),
    account=TEXTS, name=TEXTS, run=TEXTS, actor=TEXTS, what=st.sampled_from(("START", "IMAGES KEPT")),
    state=st.sampled_from(["", *(state.text for state in JobState)]), detail=TEXTS, before=TEXTS,
    before_seconds=st.floats(0, 1e9),
)  # fmt: skip


def data(notice: Notice) -> dict[str, Any]:
    return dict(json.loads(message(HOOK, notice).body)["data"])


def test_a_message_says_all_of_an_event() -> None:
    told = message(HOOK, START)
    assert json.loads(told.body) == {
        "type": "job.start",
        "timestamp": "2026-09-21T14:13:20.500Z",
        "data": {
            "JobId": "j-1", "Name": "move", "Account": "one", "Event": "START", "State": "Running/Preparing",
            "Status": "Running", "BusinessStatus": "Preparing", "PreviousState": "Ready",
            "PreviousStateSeconds": 2.25, "RunId": "r-1", "Actor": "LTAI1",
        },
    }  # fmt: skip
    assert told.type == "job.start"


def test_resources_are_named_by_their_kind() -> None:
    assert data(replace(START, subject="s-1"))["SourceId"] == "s-1"
    assert replace(START, subject="s-1", what="REGISTER").type == "source.register"
    assert replace(START, what="IMAGE DELETED").type == "job.image_deleted"
    assert data(replace(START, subject="wh-2"))["WebhookId"] == "wh-2"


@given(NOTICES)
def test_a_message_is_the_same_however_often_it_is_made(notice: Notice) -> None:
    told = message(HOOK, notice)
    assert told == message(HOOK, replace(notice))
    assert message("wh-2", notice).id != told.id
    assert message(HOOK, replace(notice, id=notice.id - 1)).id != told.id
    assert json.loads(told.body)["type"] == notice.type


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**40), st.binary(max_size=200))
def test_a_signature_is_the_standards(key: bytes, timestamp: int, body: bytes) -> None:
    """Computed here in the words of the specification."""
    secret = webhook.new_secret(key)
    content = b"msg_1." + str(timestamp).encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert sign(secret, "msg_1", timestamp, body) == f"v1,{expected}"


def test_the_example_of_the_specification() -> None:
    """From the reference implementations' tests."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_code_of_the_documentation_tells_messages_apart() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    known: dict[str, Any] = {"base64": base64, "hmac": hmac, "time": time}
    exec(code[1], known)
    secret, told, now = webhook.new_secret(bytes(32)), message(HOOK, START), int(time.time())

    def genuine(sent: int, body: bytes) -> bool:
        headers = {"webhook-id": told.id, "webhook-timestamp": str(sent)}
        headers["webhook-signature"] = sign(secret, told.id, sent, told.body)
        return bool(known["genuine"](secret, headers, body))

    assert genuine(now, told.body)
    assert not genuine(now, told.body + b" ")
    assert not genuine(now - 301, told.body)


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        ("*", True), ("job.*", True), ("JOB.START", True), ("job.st?rt", True), ("Running", True),
        ("running/preparing", True), ("Running/*", True), ("job.stop", False), ("Finished", False),
        ("source.*", False), ("Preparing", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, hit: bool) -> None:
    assert wanted(HOOK, (pattern,), START) is hit
    assert wanted(HOOK, ("InError", pattern), START) is hit


@given(NOTICES)
def test_without_patterns_all_is_wanted(notice: Notice) -> None:
    assert wanted(HOOK, (), notice)
    assert wanted(HOOK, ("*",), notice)
    assert wanted(HOOK, (notice.type,), notice)


def test_a_hook_hears_of_its_own_test_and_of_no_other() -> None:
    test = replace(START, subject=HOOK, what="TEST", state="")
    assert wanted(HOOK, ("InError",), test)
    assert not wanted("wh-2", (), test)
    assert not wanted(HOOK, (), replace(test, what="DISABLE"))
    assert wanted("wh-2", (), replace(test, what="DISABLE"))


@pytest.mark.parametrize("pattern", ["job.*", "*", "*.fail", "InError", "running/SYNCING", "Source.Register"])
def test_a_pattern_that_can_match(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "jobs.*", "Broken", "start", "Running/Dancing"])
def test_a_pattern_that_never_matches_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidValueError, match="neither a kind of event nor a job's state"):
        check_pattern(pattern)
