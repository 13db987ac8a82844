"""What the owner of a source server allows: the stricter of job and owner holds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.config import Config, load
from rehost.core.agentapi import RunOptions
from rehost.core.bandwidth import Window
from rehost.core.errors import InvalidValueError

rates = st.integers(0, 10**6)
configs = st.builds(
    Config,
    st.none() | st.floats(1, 3600),
    st.none() | st.integers(1, 100),
    st.none() | st.integers(1, 10**6),
)
options = st.builds(
    RunOptions,
    bandwidth_limit=rates,
    freeze_deadline=st.floats(1, 3600),
    most_rounds=st.integers(1, 100),
    bandwidth_schedule=st.lists(st.builds(Window, st.just(60), st.just(120), rates), max_size=3).map(tuple),
)


def no_faster(limit: int, than: int) -> bool:
    return than == 0 or 0 < limit <= than


@given(configs, options)
def test_neither_side_gets_more_than_it_allows(config: Config, asked: RunOptions) -> None:
    held = config.applied(asked)
    assert held.freeze_deadline <= min(asked.freeze_deadline, config.freeze_deadline or 3600)
    assert held.most_rounds <= min(asked.most_rounds, config.most_rounds or 100)
    pairs = [(held.bandwidth_limit, asked.bandwidth_limit)]
    pairs += [
        (w.limit, a.limit) for w, a in zip(held.bandwidth_schedule, asked.bandwidth_schedule, strict=True)
    ]
    for now, before in pairs:
        assert no_faster(now, before)
        assert no_faster(now, config.bandwidth_limit or 0)
    assert config.applied(held) == held
    assert bool(list(config.said(asked))) == (held != asked)


def test_a_server_without_the_file_leaves_it_to_jobs(tmp_path: Path) -> None:
    assert load(tmp_path / "agent.toml") == Config()


def test_who_limits_is_told(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("freeze_deadline = 5\nbandwidth_limit = 2048\n")
    said = list(load(path).said(RunOptions()))
    assert (
        said[0]
        == "freeze_deadline: at most 5 is allowed by the source server's owner (/etc/rehost/agent.toml)"
    )
    assert said[1].startswith("bandwidth_limit: at most 2048 ")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("freeze_deadline = ", "Invalid value"),
        ("freeze_deadlin = 3", "unknown field `freeze_deadlin`"),
        ("most_rounds = 0", "most_rounds"),
        ('bandwidth_limit = "2 MB"', "Expected `int"),
    ],
)
def test_a_file_that_is_not_understood_is_not_passed_over(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(InvalidValueError, match=named) as refused:
        load(path)
    assert "hook_timeout" in refused.value.advice
