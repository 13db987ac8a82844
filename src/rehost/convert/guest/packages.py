"""Which Debian packages a guest lacks. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Package:
    """A package at hand, as its control file describes it."""

    name: str
    version: str
    file: str
    depends: str = ""  # Pre-Depends and Depends, joined by a comma
    provides: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """What dpkg's status file says is installed."""

    versions: Mapping[str, str] = field(default_factory=dict)
    provided: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        return name in self.versions or name in self.provided


class UnmetError(Exception):
    """A dependency that neither the guest nor the packages at hand fulfil."""


def installed(status: str) -> Installed:
    """From the text of /var/lib/dpkg/status."""
    versions, provided = {}, set[str]()
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version|Provides): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            versions[fields["Package"]] = fields.get("Version", "")
            provided.update(names for group in _groups(fields.get("Provides", "")) for names in group)
    return Installed(versions, frozenset(provided))


def missing(wanted: str, at_hand: Sequence[Package], present: Installed) -> list[Package]:
    """The packages to install for `wanted`, what is needed first; UnmetError if one is not at hand."""
    by_name = {name: p for p in at_hand for group in _groups(p.provides) for name in group}
    by_name.update({package.name: package for package in at_hand})
    chosen: dict[str, Package] = {}

    def visit(alternatives: Iterable[str]) -> None:
        names = list(alternatives)
        if any(present.has(name) or name in seen for name in names):
            return
        package = next((by_name[name] for name in names if name in by_name), None)
        if package is None:
            raise UnmetError(" | ".join(names))
        seen.add(package.name)
        for group in _groups(package.depends):
            visit(group)
        chosen[package.name] = package

    seen: set[str] = set()
    visit([wanted])
    return list(chosen.values())


def beyond(essential: Iterable[str], at_hand: Sequence[Package]) -> list[Package]:
    """The packages that a guest may lack: all but the essential ones and what these need."""
    by_name = {package.name: package for package in at_hand}
    everywhere, todo = set[str](), list(essential)
    while todo:
        name = todo.pop()
        if name not in everywhere:
            everywhere.add(name)
            depends = by_name[name].depends if name in by_name else ""
            todo += [alternative for group in _groups(depends) for alternative in group]
    return [package for package in at_hand if package.name not in everywhere]


def _groups(relations: str) -> list[list[str]]:
    """`a (>= 1), b:any | c` -> [[a], [b, c]]"""
    groups = [
        [re.split(r"[\s:(\[]", name.strip())[0] for name in group.split("|")]
        for group in relations.split(",")
    ]
    return [group for group in groups if group[0]]
