"""An SSH server of the bench's own: keys, configuration and port."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contenders.contender import serving
from bench.place import Place
from tests.loopdisks import run

_PORT = 10022
# The fastest that both ends have where the processor knows AES: a third faster than the default.
_CIPHER = "aes128-gcm@openssh.com"


@contextmanager
def sshd(folder: Path, place: Place) -> Iterator[Sequence[str]]:
    """The server is up; the command that begins a session with it."""
    keys = folder / "ssh"
    keys.mkdir(exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # where it looks before it takes anyone in
    for name in ("host", "user"):
        if not (keys / name).exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name)
    config = keys / "sshd_config"
    config.write_text(
        f"ListenAddress {place.far.address}\nPort {_PORT}\nHostKey {keys}/host\n"
        f"AuthorizedKeysFile {keys}/user.pub\nPermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\n"
    )
    (keys / "known_hosts").write_text(f"[{place.far.address}]:{_PORT} {(keys / 'host.pub').read_text()}")
    with serving(place, _PORT, "/usr/sbin/sshd", "-D", "-q", "-f", str(config)):
        yield (
            "ssh", "-F", "none", "-p", str(_PORT), "-i", str(keys / "user"), "-c", _CIPHER,
            "-o", f"UserKnownHostsFile={keys}/known_hosts", "-o", "Compression=no", "-l", "root",
        )  # fmt: skip
