from pathlib import Path

from rehost.machine import serial


def test_escapes_and_line_ends_are_removed() -> None:
    raw = b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n\x1b[1;31mGRUB\x1b[0m\r\r\nlogin: \xff"
    assert serial.plain(raw) == "SeaBIOS\nGRUB\nlogin: �"


def test_the_last_words_of_an_ended_machine_are_seen(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def ends_with_words() -> bool:
        log.write_bytes(b"panic: at last\r\n")
        return False

    assert serial.wait_for(log, r"^panic: (.*)$", 5, ends_with_words)
    assert serial.wait_for(log, r"never", 5, lambda: False) is None


def test_tail_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert serial.tail(tmp_path / "none") == ""


def test_tail_leaves_out_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\n\n\nb\nc\n")
    assert serial.tail(tmp_path / "log", 2) == "b\nc"
