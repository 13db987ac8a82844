"""Parsed parameters, and the parser that reads them by an action's description."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rehost.api import errors, times
from rehost.api.codes import named
from rehost.api.spec import (
    Action,
    Fault,
    Later,
    Number,
    Parameter,
    Struct,
    Structs,
    Text,
    Texts,
    Time,
    Truth,
)

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_INDEX = re.compile(r"[1-9][0-9]{0,17}")
_TRUTH = {"true": True, "false": False}

Entries = Mapping[str, str]  # what follows a parameter's name (empty: nothing) -> value


class Values:
    """The parameters of one request, or of one structure in it, by name and of the described types."""

    def __init__(self, values: Mapping[str, Any], path: str = "", place: int = 0) -> None:
        self._values = values
        self._path = path
        self.place = place  # N of Name.N, 0 if it is not of a list

    def full(self, name: str) -> str:
        """The name as the client wrote it: DataDisk.1.Size."""
        return f"{self._path}{name}"

    def given(self, name: str) -> bool:
        return name in self._values

    def value(self, name: str) -> Any:
        """Of whatever type; None if it is absent."""
        return self._values.get(name)

    def text(self, name: str) -> str:
        """Empty if it is absent and has no default."""
        return cast(str, self._values.get(name, ""))

    def number(self, name: str) -> int | None:
        return cast("int | None", self._values.get(name))

    def integer(self, name: str) -> int:
        """A number that is required or has a default."""
        return cast(int, self._values[name])

    def truth(self, name: str) -> bool | None:
        return cast("bool | None", self._values.get(name))

    def time(self, name: str) -> float | None:
        """Unix seconds; None if it is absent or empty (`given` tells these apart)."""
        return cast("float | None", self._values.get(name))

    def texts(self, name: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self._values.get(name, ()))

    def struct(self, name: str) -> "Values | None":
        return cast("Values | None", self._values.get(name))

    def plain(self) -> dict[str, Any]:
        """All of it as plain dicts and lists."""
        return {name: _plain(value) for name, value in self._values.items()}

    def listed(self, name: str) -> tuple[str, ...]:
        """Of a parameter that is a text or a list of texts; none if it is absent."""
        value: str | tuple[str, ...] = self._values.get(name, ())
        return (value,) if isinstance(value, str) else value

    def structs(self, name: str) -> "tuple[Values, ...]":
        return cast("tuple[Values, ...]", self._values.get(name, ()))


def _plain(value: Any) -> Any:
    if isinstance(value, Values):
        return value.plain()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def parse(action: Action, parameters: Sequence[tuple[str, str]]) -> Values:
    """ApiError names the first parameter that is not as described; unknown ones are ignored.

    The gateway ignores them too, and clients rely on it: they send OwnerId or RegionId with any action.
    """
    values = Values(_members(action.parameters, _grouped(dict(parameters)), ""))
    for rule in action.rules:
        rule(values)
    return values


def _grouped(entries: Entries) -> dict[str, dict[str, str]]:
    """By the first part of the dotted names."""
    groups: dict[str, dict[str, str]] = {}
    for name, value in entries.items():
        first, _, rest = name.partition(".")
        groups.setdefault(first, {})[rest] = value
    return groups


def _members(parameters: tuple[Parameter, ...], groups: Mapping[str, Entries], path: str) -> dict[str, Any]:
    values = {}
    for parameter in parameters:
        entries = groups.get(parameter.name, {})
        value, there = _read(parameter, entries, f"{path}{parameter.name}")
        if there:
            values[parameter.name] = value
        elif parameter.required:
            raise errors.missing(f"{path}{parameter.name}", code=parameter.codes.get(Fault.MISSING, ""))
    return values


def _read(parameter: Parameter, entries: Entries, name: str) -> tuple[Any, bool]:
    """The value, and whether there is one."""
    match parameter:
        case Structs():
            items = _structs(parameter, entries, name)
            return items, bool(items)
        case Struct():
            struct = _struct(parameter, entries, name)
            return struct, struct is not None
        case Texts():
            texts = _texts(parameter, entries, name)
            return texts, bool(texts)
        case Later():
            _refuse_later(parameter, entries, name)
            return None, False
    _refuse_index(entries, name)
    text = entries.get("")
    if text:
        return _scalar(parameter, text, name), True
    if text == "" and isinstance(parameter, Text | Time) and parameter.blank:
        return ("" if isinstance(parameter, Text) else None), True
    default = getattr(parameter, "default", None)
    return default, default not in (None, "")


def _scalar(parameter: Parameter, text: str, name: str) -> Any:
    match parameter:
        case Text():
            return _text(parameter, text, name)
        case Number():
            return _number(parameter, text, name)
        case Time():
            return _time(text, name)
        case Truth():
            return _truth(text, name)
    raise TypeError(f"no reader for parameters of the type {type(parameter).__name__}")


def _text(parameter: Text, text: str, name: str) -> str:
    if parameter.choices:
        return _chosen(parameter, text, name)
    code = parameter.codes.get(Fault.FORM, "")
    if parameter.form and not parameter.form.pattern.fullmatch(text):
        raise errors.malformed(name, text, parameter.form.says, code)
    if not parameter.form and len(text) > parameter.longest:
        raise errors.malformed(name, text, f"at most {parameter.longest} characters", code)
    return text


def _chosen(parameter: Text | Texts, text: str, name: str) -> str:
    try:
        return parameter.choices[text.lower()]
    except KeyError:
        allowed = ", ".join(dict.fromkeys(parameter.choices.values()))
        raise errors.not_allowed(name, text, allowed, parameter.codes.get(Fault.VALUE, "")) from None


def _number(parameter: Number, text: str, name: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise errors.wrong_type(name, text, "an integer")
    number = int(text)
    if parameter.among and number not in parameter.among:
        raise errors.not_allowed(name, text, " or ".join(map(str, parameter.among)))
    if not parameter.least <= number <= parameter.most:
        raise errors.not_allowed(name, text, f"{parameter.least} to {parameter.most}")
    return number


def _time(text: str, name: str) -> float:
    try:
        return times.parse(text)
    except ValueError:
        raise errors.malformed(name, text, "a UTC time of the form YYYY-MM-DDThh:mm:ssZ") from None


def _truth(text: str, name: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        raise errors.wrong_type(name, text, "true or false") from None


def _texts(parameter: Texts, entries: Entries, name: str) -> tuple[str, ...]:
    named = {name: entries[""]} if "" in entries and len(entries) == 1 else {}
    for index, rest in ({} if named else _indexed(parameter, entries, name)).items():
        _refuse_index(rest, f"{name}.{index}")
        named[f"{name}.{index}"] = rest[""]
    texts: list[str] = []
    for full, text in named.items():
        if text in texts and parameter.distinct:
            raise errors.twice(name, text, parameter.codes.get(Fault.TWICE, ""))
        if text:
            texts.append(_one_of(parameter, text, full))
    return tuple(texts)


def _one_of(parameter: Texts, text: str, name: str) -> str:
    if parameter.choices:
        return _chosen(parameter, text, name)
    if len(text) > parameter.longest:
        raise errors.malformed(name, text, f"at most {parameter.longest} characters")
    return text


def _struct(parameter: Struct, entries: Entries, name: str) -> Values | None:
    """None when nothing in it has a value."""
    if "" in entries:
        raise errors.wrong_type(name, entries[""], f"of the form {name}.Member")
    if not any(entries.values()):
        return None
    path = f"{name}."
    return Values(_members(parameter.members, _grouped(entries), path), path)


def _structs(parameter: Structs, entries: Entries, name: str) -> tuple[Values, ...]:
    """Without those that have nothing in them, unless there has to be something."""
    demanding = any(member.required for member in parameter.members)
    items = []
    for index, rest in _indexed(parameter, entries, name).items():
        if not demanding and not any(rest.values()):
            continue
        path = f"{name}.{index}."
        items.append(Values(_members(parameter.members, _grouped(rest), path), path, index))
    return tuple(items)


def _indexed(parameter: Texts | Structs, entries: Entries, name: str) -> dict[int, dict[str, str]]:
    """Entries by their index, ascending; indexes count from 1 and may leave gaps."""
    items: dict[int, dict[str, str]] = {}
    for rest, value in entries.items():
        index, _, member = rest.partition(".")
        if not _INDEX.fullmatch(index):
            raise errors.wrong_type(
                f"{name}.{rest}".rstrip("."), value, f"of the form {name}.N with N from 1"
            )
        if int(index) > parameter.most:
            code = parameter.codes.get(Fault.COUNT, "")
            raise errors.too_many(name, parameter.most, f"{name}.{index}", code)
        items.setdefault(int(index), {})[member] = value
    return dict(sorted(items.items()))


def _refuse_later(parameter: Later, entries: Entries, name: str) -> None:
    for rest, value in entries.items():
        if value:
            full = f"{name}.{rest}".rstrip(".")
            code = named(Fault.LATER, name)
            raise errors.not_yet(full, value, "the parameter is not built", parameter.instead, code)


def _refuse_index(entries: Entries, name: str) -> None:
    """A parameter that is not a list has nothing after its name."""
    for rest, value in entries.items():
        if rest:
            raise errors.wrong_type(f"{name}.{rest}", value, f"a parameter: {name} is not a list")
