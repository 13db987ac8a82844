"""A distribution older than this one, without Python: Debian 11 by mmdebstrap, kept in .cache/."""

import fcntl
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.loopdisks import run, without_others

CACHE = Path(__file__).parents[2] / ".cache/tests"
RECIPE = ("--variant=essential", "--include=curl", "bullseye")


def archive() -> Path:
    """The root of the old system as a tar file."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / "old-system.tar"
    with (CACHE / "old-system.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            run("mmdebstrap", "--quiet", *RECIPE, CACHE / "old-system.new.tar")
            os.replace(CACHE / "old-system.new.tar", made)
    return made


@dataclass(frozen=True)
class OldSystem:
    root: Path

    @classmethod
    def unpack(cls, root: Path) -> "OldSystem":
        root.mkdir()
        run("tar", "-xf", archive(), "-C", root, "--exclude=./dev/*")
        return cls(root)

    def command(self, *words: str) -> list[str]:
        """Runs words inside, with this machine's devices; the mounts vanish with the process."""
        root = shlex.quote(str(self.root))
        mounts = "; ".join(f"mount --rbind /{name} {root}/{name}" for name in ("dev", "proc", "sys"))
        inside = f"{without_others(self.root)}; {mounts}; cd /; exec chroot {root} {shlex.join(words)}"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", inside]

    def run(self, *words: str, code: int = 0) -> str:
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, env=environment, timeout=120
        )
        assert done.returncode == code, f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout + done.stderr
