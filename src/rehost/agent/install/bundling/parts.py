"""What goes into the agent's file: interpreter, libraries, the needed standard library, packages."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rehost.agent.install.bundling import elf
from rehost.core.errors import AgentInstallError

PACKAGES = ("blake3", "msgspec", "zstandard")
_OWN = ("agent", "block", "core", "track", "wire")
_NOT_OWN = ("agent/install/bundle", "agent/install/bundling", "agent/install/installer")

# Whole folders and modules of the standard library that nothing in the agent comes near.
_LEFT_OUT = frozenset(
    """
    __phello__ _pydecimal _pyio aifc antigravity asynchat asyncio asyncore audioop bdb bz2 cProfile cgi
    cgitb chunk code codeop colorsys config-3 crypt curses dbm dist-packages distutils doctest ensurepip
    ftplib html idlelib imaplib imghdr lib-dynload lib2to3 lzma mailbox mailcap msilib multiprocessing
    netrc nntplib optparse pdb pickletools pip plistlib poplib profile pstats pty pyclbr pydoc pydoc_data
    site-packages sitecustomize smtpd smtplib sndhdr socketserver sqlite3 sre_compile sre_constants
    sre_parse statistics sunau symtable tabnanny tarfile telnetlib test this tkinter trace
    tracemalloc tty turtle turtledemo unittest uu venv wave webbrowser wsgiref xdrlib xml xmlrpc zipapp
    zipfile
    """.split()  # noqa: SIM905
)
_ENCODINGS = frozenset(
    "__init__ aliases ascii cp437 idna latin_1 punycode unicode_escape utf_16 utf_8".split()  # noqa: SIM905
)
_EXTENSIONS = frozenset(
    """
    _bisect _blake2 _contextvars _csv _ctypes _datetime _decimal _hashlib _heapq _json _md5 _opcode
    _pickle _posixsubprocess _queue _random _sha1 _sha2 _sha256 _sha3 _sha512 _socket _ssl _struct _typing
    _uuid _zoneinfo array binascii fcntl grp math mmap resource select syslog termios unicodedata zlib
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # path in the bundle
    source: Path

    @property
    def is_python(self) -> bool:
        return self.name.endswith(".py")


def interpreter() -> Path:
    """The program itself, not the link that a virtual environment has."""
    return Path(sys.executable).resolve()


def library_folder() -> str:
    """Where this interpreter looks for its standard library, below its prefix."""
    return f"{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"


def collect() -> list[Part]:
    """All parts, sorted by name. AgentInstallError when something needed is missing here."""
    python = [*_standard_library(), *_packages(), *_own_package()]
    binaries = [Part("bin/python", interpreter()), *_extensions()]
    native = [part.source for part in [*binaries, *python] if not part.is_python and _is_native(part.source)]
    found = {part.name: part for part in [*python, *binaries, *_libraries(native)]}
    return [found[name] for name in sorted(found)]


def loader_path() -> Path:
    """The C library's own loader."""
    path = elf.loader(interpreter().read_bytes())
    if not path:
        raise AgentInstallError(
            f"{interpreter()} is linked statically: the agent's file cannot be built from it",
            "run the control plane with the distribution's python3",
        )
    return Path(path)


def _standard_library() -> Iterator[Part]:
    root = Path(os.__file__).parent
    for path in root.rglob("*.py"):
        inside = path.relative_to(root)
        top = inside.parts[0].removesuffix(".py")
        if top in _LEFT_OUT or top.startswith(("config-", "_sysconfigdata")) or "test" in inside.parts[1:]:
            continue
        if top == "encodings" and inside.stem not in _ENCODINGS:
            continue
        yield Part(f"{library_folder()}/{inside}", path)


def _extensions() -> Iterator[Part]:
    folder = Path(sysconfig.get_config_var("DESTSHARED") or Path(os.__file__).parent / "lib-dynload")
    for path in folder.glob("*.so"):
        if path.name.partition(".")[0] in _EXTENSIONS:
            yield Part(f"{library_folder()}/lib-dynload/{path.name}", path)


def _packages() -> Iterator[Part]:
    for package in PACKAGES:
        root = _folder_of(package)
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.so")]):
            if "tests" not in path.parts and not path.name.startswith("_cffi"):
                yield Part(f"{library_folder()}/{package}/{path.relative_to(root)}", path)


def _own_package() -> Iterator[Part]:
    root = _folder_of("rehost")
    yield Part(f"{library_folder()}/rehost/__init__.py", root / "__init__.py")
    for folder in _OWN:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root).as_posix()
            if path.suffix in (".py", ".service") and not inside.startswith(_NOT_OWN):
                yield Part(f"{library_folder()}/rehost/{inside}", path)


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise AgentInstallError(f"the package {package} is not installed", f"pip install {package}")
    return Path(spec.submodule_search_locations[0])


def _is_native(path: Path) -> bool:
    with path.open("rb") as file:
        return elf.is_elf(file.read(6))


def _libraries(binaries: Iterable[Path]) -> Iterator[Part]:
    """The shared libraries that the loader would take here, each under the name that it is asked for by."""
    loader = loader_path()
    yield Part("lib/rehost-agent.ld.so", loader.resolve())
    for binary in binaries:
        for name, path in _needed(loader, binary):
            if path.resolve() != loader.resolve():
                yield Part(f"lib/{name}", path.resolve())


def _needed(loader: Path, binary: Path) -> Iterator[tuple[str, Path]]:
    answer = subprocess.run([loader, "--list", binary], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AgentInstallError(
            f"the libraries of {binary} are not known: {answer.stderr.strip()}", "repair that installation"
        )
    for line in answer.stdout.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        path = rest.split(" (")[0]
        if arrow and path == "not found":
            raise AgentInstallError(f"{binary} needs {name}, which is not installed", "install that library")
        if arrow and path.startswith("/"):
            yield Path(name).name, Path(path)
