"""ReplicationParameters: the fixed keys, their ranges, and messages that say what is allowed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.agentapi import RunOptions, Unreadable
from rehost.core.errors import InvalidValueError
from rehost.core.replication import ReplicationParameters, parse
from rehost.core.round import NotConverging


def test_defaults_are_the_agents_defaults() -> None:
    assert parse("") == ReplicationParameters()
    assert parse("{}").options() == RunOptions()


def test_the_references_example() -> None:
    parsed = parse('{"bandwidth_limit":0,"compress_level":1,"checksum":true}')
    assert parsed == ReplicationParameters(bandwidth_limit=0, compress_level=1, checksum=True)


def test_additions() -> None:
    text = json.dumps({"streams": 4, "freeze_deadline": 2.5, "boot_check_command": "true"})
    assert parse(text) == ReplicationParameters(streams=4, freeze_deadline=2.5, boot_check_command="true")
    assert parse(text).options().freeze_deadline == 2.5
    text = '{"freeze_target":0.5,"most_rounds":3,"not_converging":"fail","unreadable":"zero"}'
    options = RunOptions(
        freeze_target=0.5, most_rounds=3, not_converging=NotConverging.FAIL, unreadable=Unreadable.ZERO
    )
    assert parse(text).options() == options


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "object"),
        ("{", "JSON"),
        ('{"compress_level":11}', "compress_level=11"),
        ('{"compress_level":-1}', "0 to 10"),
        ('{"compress_level":true}', "compress_level=true"),
        ('{"bandwidth_limit":1.5}', "KB/s"),
        ('{"bandwidth_limit":"1"}', "bandwidth_limit"),
        ('{"checksum":1}', "true or false"),
        ('{"streams":0}', "streams=0"),
        ('{"freeze_deadline":NaN}', "NaN"),
        ('{"freeze_target":0}', "freeze_target=0"),
        ('{"most_rounds":0}', "1 to 100"),
        ('{"not_converging":"wait"}', '"freeze" or "fail"'),
        ('{"unreadable":["zero"]}', '"fail" or "zero"'),
        ('{"bandwidth_schedule":{}}', "a list of at most 24 windows"),
        ('{"boot_check_command":3}', "shell command"),
        ('{"speed":1}', "'speed'"),
        ('{"checksum":true,"checksum":false}', "more than once"),
        ("[" * 2000, "JSON"),
        (r'{"boot_check_command":"\ud800"}', "shell command"),
        ('{"boot_check_command":"' + "x" * 2048 + '"}', "2048"),
    ],
)
def test_refusals_name_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        parse(text)
    assert named in raised.value.what


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(InvalidValueError):
        parse(text)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_any_object_is_parsed_or_refused(values: dict[str, object]) -> None:
    with suppress(InvalidValueError):
        parse(json.dumps(values))
