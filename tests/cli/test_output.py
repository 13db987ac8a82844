import json
from pathlib import Path

import pytest
import typer

from rehost.cli import output
from rehost.core.errors import InvalidValueError, NotFoundError, RehostError, ReportedError, VolumeFullError


def test_json_takes_dataclasses_paths_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"path": Path("/a"), "size": 3, "exit": output.Exit.JOB_FAILED})
    assert json.loads(capsys.readouterr().out) == {"path": "/a", "size": 3, "exit": 4}


def test_a_table_shows_brackets_and_missing_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["Name", "Size>"], [("[bold]x[/bold]", None), ("[1]", 10)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Name", "Size"]
    assert lines[1].split() == ["[bold]x[/bold]", "-"]
    assert lines[2].split() == ["[1]", "10"]


def test_long_values_are_not_cut_when_the_output_is_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields({"path": "x" * 300})
    assert "x" * 300 in capsys.readouterr().out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VolumeFullError("no room"), output.Exit.ERROR),
        (InvalidValueError("no such format"), output.Exit.USAGE),
        (NotFoundError("no image m-1"), output.Exit.NOT_FOUND),
        (ReportedError("SourceServerId.NotFound", "no server"), output.Exit.NOT_FOUND),
    ],
)
def test_errors_end_the_command_with_their_code(
    error: RehostError, code: output.Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, output.errors_shown():
        raise error
    assert ended.value.exit_code == code
    assert error.what in capsys.readouterr().err


def test_errors_as_json_go_to_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), output.errors_shown(as_json=True):
        raise VolumeFullError("no room", "make some")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {"code": "TargetDisk.Full", "what": "no room", "advice": "make some"}
