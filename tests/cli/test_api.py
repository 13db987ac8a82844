"""`rehost api`: what the table of actions makes of words, without a control plane."""

import pytest

from rehost.api.actions import ACTIONS
from rehost.cli import main
from rehost.cli.api import given
from rehost.core.errors import InvalidValueError


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(
    ("action", "text", "parameters"),
    [
        ("DescribeSourceServers", "", {}),
        ("DescribeSourceServers", "--SourceId s-1", {"SourceId": "s-1"}),
        ("DescribeSourceServers", "--SourceId.1 a --SourceId.2=b", {"SourceId.1": "a", "SourceId.2": "b"}),
        ("DeleteSourceServer", "--Force --SourceId s-1", {"Force": "true", "SourceId": "s-1"}),
        ("DeleteSourceServer", "--Force false --SourceId s-1", {"Force": "false", "SourceId": "s-1"}),
        ("DeleteSourceServer", "--RegionId cn --SourceId s-1", {"RegionId": "cn", "SourceId": "s-1"}),
        ("CreateReplicationJob", "--DataDisk.1.Part.2.Device 1_0", {"DataDisk.1.Part.2.Device": "1_0"}),
        ("ModifySourceServerAttribute", "--Description=", {"Description": ""}),
        ("ModifySourceServerAttribute", "--Description=--x=y", {"Description": "--x=y"}),
    ],
)  # fmt: skip
def test_words_become_parameters(action: str, text: str, parameters: dict[str, str]) -> None:
    assert given(ACTIONS[action], words(text)) == parameters


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("--SourceID s-1", "--SourceId"),
        ("--Tag.1.Kye k", "--Tag.N.Key"),
        ("--Nonsense 1", "--help"),
        ("s-1", "--Name s-1"),
        ("--SourceId", "--SourceId VALUE"),
        ("--SourceId --State Available", "--SourceId VALUE"),
        ("--SourceId s-1 --SourceId s-2", "--SourceId.2"),
    ],
)
def test_what_the_action_does_not_have_is_refused(text: str, advice: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        given(ACTIONS["DescribeSourceServers"], words(text))
    assert advice in refused.value.advice


def run(capsys: pytest.CaptureFixture[str], text: str, exits: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as end:
        main.main(words(text))
    assert end.value.code == exits
    return capsys.readouterr()


def test_actions_and_parameters_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("api", "api --help"):
        out, _ = run(capsys, text)
        assert [line.split()[0] for line in out.splitlines()[1:]] == list(ACTIONS)
    out, _ = run(capsys, "api CreateReplicationJob --help")
    for said in ("--DataDisk.N.Part.N.SizeBytes", "20 to 2048", "required", "NetMode=2 needs VSwitchId."):
        assert said in out
    assert "QuotaExceeded.ReplicationJob" in out


def test_mistakes_are_found_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REHOST_ENDPOINT", "nowhere")
    _, err = run(capsys, "api DescribeSourceServer", 2)
    assert "did you mean DescribeSourceServers" in err
    _, err = run(capsys, "api StartReplicationJob --Jobid j-1", 2)
    assert "did you mean --JobId" in err
    _, err = run(capsys, "api StartReplicationJob", 1)
    assert "JobId is mandatory" in err
    _, err = run(capsys, "api CreateReplicationJob --RegionId r --SourceId s --SystemDiskSize 5", 1)
    assert "20 to 2048" in err
