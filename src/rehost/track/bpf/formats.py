"""The fields of a classic tracepoint, from its `format` file in tracefs. Pure."""

import re
from dataclasses import dataclass

_FIELD = re.compile(
    r"^\tfield:(?P<type>.*?)\s*(?P<name>\w+)(?:\[\d*\])?;\toffset:(?P<offset>\d+);\tsize:(?P<size>\d+);"
)
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Field:
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Format:
    number: int  # what perf_event_open calls the tracepoint
    fields: dict[str, Field]

    def field(self, name: str, size: int) -> int:
        """The offset of a field of `size` bytes; LookupError if this kernel has no such field."""
        found = self.fields.get(name)
        if found is None or found.size != size:
            raise LookupError(f"the tracepoint has no field {name} of {size} bytes")
        return found.offset


def parse(text: str) -> Format:
    """ValueError if this is no format file."""
    number = _ID.search(text)
    if number is None:
        raise ValueError("not the format of a tracepoint")
    found = filter(None, map(_FIELD.match, text.splitlines()))
    return Format(
        int(number[1]), {match["name"]: Field(int(match["offset"]), int(match["size"])) for match in found}
    )
