"""What the helper VM gets to do its job: the guest side's code, the job, files; a tar archive."""

import io
import json
import py_compile
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

GUEST_CODE = Path(__file__).parent / "guest"


def write(output: IO[bytes], job: Mapping[str, Any], files: Sequence[Path]) -> None:
    """guest/ with the code, job.json, files/ with the files."""
    with tarfile.open(fileobj=output, mode="w") as tar:
        for source in sorted(GUEST_CODE.iterdir()):
            if source.suffix in (".py", ".sh"):
                tar.add(source, f"guest/{source.name}")
            if source.suffix == ".py":
                _add(
                    tar,
                    f"guest/__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc",
                    _bytecode(source),
                )
        for path in files:
            tar.add(path, f"files/{path.name}")
        _add(tar, "job.json", json.dumps(job).encode())


def _bytecode(source: Path) -> bytes:
    """Saves the emulated Python two seconds; one of another version ignores files with this name."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # the source's time in the tar means nothing
    with tempfile.NamedTemporaryFile(prefix="rehost-", suffix=".pyc") as target:
        py_compile.compile(str(source), target.name, str(source.name), doraise=True, invalidation_mode=mode)
        return Path(target.name).read_bytes()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
