"""Builds the agent's one self-contained file, and keeps it by the content of what goes into it."""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost import __version__
from rehost.agent.install.bundling import elf, parts
from rehost.agent.install.bundling.parts import Part
from rehost.block import durable
from rehost.core.errors import AgentInstallError

_RECIPE = Path(__file__).with_name("bundling")
_TIME = 1577836800  # of every file in the archive: the same content is the same file
_KEPT = 3  # older files of the cache that are left for downloads under way


@dataclass(frozen=True, slots=True)
class Bundle:
    path: Path
    sha256: str  # hex
    size: int  # bytes


def build(cache: Path) -> Bundle:
    """The agent's file for this machine's architecture, from `cache` when nothing has changed since.

    AgentInstallError when this interpreter lacks something that the agent needs.
    """
    found = parts.collect()
    name = identity(found)
    path = cache / f"rehost-agent-{platform.machine()}-{name}"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        durable.write_file(path, _assemble(found, name), 0o755)
        _forget_old(cache, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Bundle(path, digest, path.stat().st_size)


def identity(found: Sequence[Part]) -> str:
    """20 hex digits over everything that the result depends on: the parts and how they are put together."""
    total = hashlib.sha256(__version__.encode())
    recipe = [
        Part(path.name, path) for path in [*sorted(_RECIPE.iterdir()), Path(__file__)] if path.is_file()
    ]
    for part in [*found, *recipe]:
        total.update(part.name.encode() + b"\0" + hashlib.sha256(part.source.read_bytes()).digest())
    return total.hexdigest()[:20]


def _forget_old(cache: Path, present: Path) -> None:
    others = [path for path in cache.glob("rehost-agent-*") if path != present]
    others.sort(key=lambda path: path.stat().st_mtime)
    for path in others[:-_KEPT]:
        path.unlink(missing_ok=True)


def _assemble(found: Sequence[Part], name: str) -> bytes:
    archive = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content, mode in _members(found, name):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(content), mode, _TIME
            tar.addfile(entry, io.BytesIO(content))
            size += len(content)
    return _head(name, size) + gzip.compress(archive.getvalue(), 9, mtime=0)


def _members(found: Sequence[Part], name: str) -> Iterator[tuple[str, bytes, int]]:
    """(path, content, mode); the marker BUNDLE comes last, so that it proves that all was unpacked."""
    start = (_RECIPE / "start.sh").read_text()
    yield "bin/python3", start.replace("@MODULE@", "").encode(), 0o755
    yield "bin/rehost-agent", start.replace("@MODULE@", "-m rehost.agent ").encode(), 0o755
    compiled = _compile([part for part in found if part.is_python])
    for part in found:
        if part.is_python:
            yield part.name + "c", compiled[part.name], 0o644
            continue
        content = part.source.read_bytes()
        if elf.is_elf(content):
            yield part.name, elf.trimmed(content), 0o755
        else:
            yield part.name, content, 0o644
    yield "BUNDLE", name.encode() + b"\n", 0o644


def _compile(sources: Sequence[Part]) -> dict[str, bytes]:
    """Byte code without sources: half the size, and at start there is nothing to compare with."""
    with tempfile.TemporaryDirectory() as folder:
        work = [
            (str(part.source), part.name, f"{folder}/{number}", _optimisation(part))
            for number, part in enumerate(sources)
        ]
        answer = subprocess.run(
            [parts.interpreter(), "-I", "-S", _RECIPE / "compiling.py"],
            input=json.dumps(work),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=False,
        )
        if answer.returncode:
            raise AgentInstallError(
                f"the agent's modules do not compile: {answer.stderr[-500:]}", "repair this installation"
            )
        return {
            part.name: Path(target).read_bytes()
            for part, (_, _, target, _) in zip(sources, work, strict=True)
        }


def _optimisation(part: Part) -> int:
    """Docstrings and asserts stay only in rehost itself."""
    return 0 if "/rehost/" in part.name else 2


def _head(name: str, size: int) -> bytes:
    text = (_RECIPE / "head.sh").read_text()
    values = {
        "@VERSION@": __version__,
        "@MACHINE@": platform.machine(),
        "@ID@": name,
        "@SIZE@": str(-(-size // 1_000_000) + 1),
    }
    for mark, value in values.items():
        text = text.replace(mark, value)
    length = len(text.encode()) - len("@SKIP@") + 4
    if not 1000 <= length < 9999:
        raise AgentInstallError(
            f"the head of the agent's file has {length} bytes", "correct bundling/head.sh"
        )
    return text.replace("@SKIP@", str(length + 1)).encode()
