"""The words in which actions are described: parameters, replies, rules. `actions/` has the descriptions.

One description is the source of parsing, checking, reply shapes and documentation; a new action is an entry
in a table, not new machinery.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehost.api.services import Call
    from rehost.api.values import Values

LARGEST_INTEGER = (1 << 31) - 1
LARGEST_LONG = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Form:
    """What a text may look like."""

    pattern: re.Pattern[str]
    says: str  # the pattern in words


_NO_ADDRESS = "(?!https?://)"
_LETTER = "A-Za-z\u3400-\u4dbf\u4e00-\u9fff"  # Latin letters and Chinese characters

NAME = Form(
    re.compile(f"{_NO_ADDRESS}[{_LETTER}][{_LETTER}0-9:_-]{{1,127}}"),
    "2 to 128 characters that begin with a letter or a Chinese character, not with http:// or https://, "
    "and are letters, Chinese characters, digits, colons, underscores or hyphens",
)
# The reference's own example of a job's description has spaces and a full stop, against its rule.
DESCRIPTION = Form(
    re.compile(rf"{_NO_ADDRESS}[{_LETTER}][^\x00-\x1f\x7f]{{1,127}}"),
    "2 to 128 characters that begin with a letter or a Chinese character, not with http:// or https://",
)
SHORT_TEXT = Form(
    re.compile(rf"{_NO_ADDRESS}[^\x00-\x1f\x7f]{{0,256}}"),
    "at most 256 characters that do not begin with http:// or https://",
)
TAG_KEY = Form(
    re.compile(r"(?!aliyun|acs:|https?://)[^\x00-\x1f\x7f]{1,128}"),
    "1 to 128 characters that do not begin with aliyun, acs:, http:// or https://",
)
TAG_VALUE = Form(
    re.compile(r"(?!aliyun|acs:|https?://)[^\x00-\x1f\x7f]{0,128}"),
    "at most 128 characters that do not begin with aliyun, acs:, http:// or https://",
)
# TagResources is stricter with keys than CreateReplicationJob, and less strict with values.
RESOURCE_TAG_KEY = Form(
    re.compile(r"(?!aliyun|acs:)(?!.*https?://)[^\x00-\x1f\x7f]{1,128}"),
    "1 to 128 characters that do not begin with aliyun or acs:, without http:// or https:// in them",
)
RESOURCE_TAG_VALUE = Form(
    re.compile(r"(?!.*https?://)[^\x00-\x1f\x7f]{0,128}"),
    "at most 128 characters, without http:// or https:// in them",
)
TOKEN = Form(re.compile(r"[\x21-\x7e]{1,64}"), "at most 64 ASCII characters")
IDENTIFIER = Form(re.compile(r"[A-Za-z0-9_.-]{1,128}"), "1 to 128 letters, digits, dots and - _")
DEVICE = Form(
    re.compile(r"[0-9]{1,3}_[0-9]{1,3}"),
    "a partition's name as DescribeSourceServers gives it, such as 0_1",
)


class Fault(StrEnum):
    """What can be wrong with a parameter, and the code that says so; {} is the parameter's name."""

    MISSING = "Missing{}"
    FORM = "Invalid{}.Malformed"
    VALUE = "Invalid{}.ValueNotSupported"
    COUNT = "NumberExceed.{}s"
    TWICE = "Duplicate.{}"
    LATER = "Unsupported{}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What all parameters have. An empty value counts as absent."""

    name: str
    about: str = ""
    required: bool = field(default=False, kw_only=True)
    addition: bool = field(default=False, kw_only=True)  # rehost's own, not in the reference
    codes: Mapping[Fault, str] = field(default_factory=dict, kw_only=True)  # where the reference has others


@dataclass(frozen=True, slots=True)
class Text(Parameter):
    form: Form | None = field(default=None, kw_only=True)
    longest: int = field(default=128, kw_only=True)  # characters
    choices: Mapping[str, str] = field(default_factory=dict, kw_only=True)  # lower case -> as reported
    default: str = field(default="", kw_only=True)
    blank: bool = field(default=False, kw_only=True)  # an empty value has a meaning of its own


@dataclass(frozen=True, slots=True)
class Number(Parameter):
    least: int = field(default=0, kw_only=True)
    most: int = field(default=LARGEST_INTEGER, kw_only=True)
    among: tuple[int, ...] = field(default=(), kw_only=True)  # the only values, if there are any
    default: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Truth(Parameter):
    default: bool | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Time(Parameter):
    """YYYY-MM-DDThh:mm:ssZ; the value is Unix seconds."""

    blank: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Texts(Parameter):
    """A list of texts: Name.1, Name.2, …; a bare Name is a list of one, as in the reference's CLI example."""

    most: int = field(default=50, kw_only=True)
    longest: int = field(default=128, kw_only=True)  # characters of each
    distinct: bool = field(default=False, kw_only=True)  # a value that comes twice is refused
    choices: Mapping[str, str] = field(default_factory=dict, kw_only=True)  # lower case -> as reported


@dataclass(frozen=True, slots=True)
class Structs(Parameter):
    """A list of structures: Name.1.Member, …"""

    members: tuple[Parameter, ...] = ()
    most: int = field(default=20, kw_only=True)


@dataclass(frozen=True, slots=True)
class Struct(Parameter):
    """A structure: Name.Member, …"""

    members: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Later(Parameter):
    """One that this version does not carry out: refused when it is given, never ignored.

    A filter that is ignored would list, and let a script delete, what it should not.
    """

    instead: str = ""


def choices(*names: str) -> Mapping[str, str]:
    """Values that are told apart without case and reported as they are spelled here."""
    return {name.lower(): name for name in names}


class Kind(StrEnum):
    """Types of reply fields."""

    STRING = "String"
    INTEGER = "Integer"
    LONG = "Long"
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    TIME = "Time"  # as `times.write` does


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind
    about: str = ""
    addition: bool = field(default=False, kw_only=True)  # rehost's own, not in the reference


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A list as the API nests it: Name: {item: [{fields}, …]}; without fields, of texts."""

    name: str
    item: str
    fields: tuple["Field | Wrapped | Nested", ...]


@dataclass(frozen=True, slots=True)
class Nested:
    """A structure in a structure: Name: {fields}."""

    name: str
    fields: tuple["Field | Wrapped | Nested", ...]


Fields = tuple[Field | Wrapped | Nested, ...]

REQUEST_ID = Field("RequestId", Kind.STRING, "The request.")  # of every reply

Rule = Callable[["Values"], None]  # raises ApiError
Handler = Callable[["Call", "Values"], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """What an action asks leave for: `kind`/<value> for each value of the parameter, or `kind`/*.

    All that the account has of a kind is meant where no parameter is named, and where it is not given. An
    empty `kind`: the parameter's value is an ARN itself.
    """

    kind: str
    parameter: str = ""
    when: tuple[str, str] | None = None  # only where this parameter has this value


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    about: str
    parameters: tuple[Parameter, ...]
    handle: Handler
    reply: Fields = ()
    rules: tuple[Rule, ...] = ()  # over several parameters of one request
    codes: tuple[str, ...] = ()  # of its errors, besides those that follow from the parameters: api/codes.py
    addition: bool = False  # rehost's own, not in the reference
    resources: tuple[Resource, ...] = field(default=(), kw_only=True)  # leave for each of them is needed
    in_records: bool = field(default=False, kw_only=True)  # it changes records only, which is one transaction

    @property
    def reads(self) -> bool:
        """It changes nothing."""
        return self.name.startswith(("Describe", "List", "Get"))
