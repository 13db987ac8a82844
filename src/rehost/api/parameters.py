"""Parameters as people read them: the rows of tables in the documentation and of help on the command line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rehost.api.spec import LARGEST_INTEGER, Later, Number, Parameter, Structs, Text, Texts, Time, Truth


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter as people read it; members of structures have rows of their own."""

    name: str  # DataDisk.N.Part.N.Device
    type: str
    required: bool
    allowed: str
    default: str
    about: str
    addition: bool


def rows(parameters: Iterable[Parameter], path: str = "") -> Iterator[Row]:
    for parameter in parameters:
        name = f"{path}{parameter.name}"
        if members := getattr(parameter, "members", ()):
            inside = f"{name}.N." if isinstance(parameter, Structs) else f"{name}."
            yield _row(parameter, name, parameter.about)
            yield from rows(members, inside)
        else:
            listed = f"{name}.N" if isinstance(parameter, Texts) else name
            yield _row(parameter, listed, parameter.about)


def _row(parameter: Parameter, name: str, about: str) -> Row:
    return Row(
        name=name,
        type=_type(parameter),
        required=parameter.required,
        allowed=_allowed(parameter),
        default=_default(parameter),
        about=f"{about} {parameter.instead}" if isinstance(parameter, Later) else about,
        addition=parameter.addition,
    )


def _type(parameter: Parameter) -> str:
    match parameter:
        case Number(most=most):
            return "Integer" if most <= LARGEST_INTEGER else "Long"
        case Truth():
            return "Boolean"
        case Text() | Time() | Texts():
            return "String"
    return "Structure"


def _allowed(parameter: Parameter) -> str:
    match parameter:
        case Text(choices=choices) if choices:
            return _listed(choices.values())
        case Text(form=form, longest=longest):
            return form.says if form else f"at most {longest} characters"
        case Number(among=among) if among:
            return _listed(map(str, among))
        case Number(least=least, most=most):
            return f"{least} to {most}"
        case Time():
            return "UTC, YYYY-MM-DDThh:mm:ssZ"
        case Truth():
            return "true, false"
        case Texts(choices=choices, most=most, distinct=distinct):
            each = f" of {_listed(choices.values())}" if choices else ""
            return f"N from 1 to {most}{each}" + (", each once" if distinct else "")
        case Structs(most=most):
            return f"N from 1 to {most}"
        case Later():
            return "not built: refused"
    return ""


def _default(parameter: Parameter) -> str:
    default = getattr(parameter, "default", None)
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else str(default)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
