"""The receiver is there whatever happens to its process, but not where it cannot be."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from rehost.block.crashpoint import VARIABLE
from rehost.cli import datafolder, keyring
from rehost.cli.receiver_child import ReceiverChild
from rehost.core.errors import DataFolderError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    with datafolder.served(folder):
        keyring.ensure(folder / "keys", ())
    return folder


def test_one_that_is_killed_before_it_listens_is_started_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = data / "crash"
    order.write_text("file.written")  # of its first announcement
    monkeypatch.setenv(VARIABLE, str(order))
    with closing(ReceiverChild(data, "127.0.0.1:0", data)) as receiver:
        receiver.start()
        assert order.with_name("crash.reached").exists()
        assert list(data.glob(".*.new")) == []
        with closing(socket.create_connection(("127.0.0.1", receiver.port or 0), 10)):
            pass


def test_one_that_cannot_listen_is_an_error_with_its_own_words(data: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataFolderError, match=f"does not listen on {address}: .*in use"):
            ReceiverChild(data, address, data).start()
