"""The pages of docs/api/, drawn from the table of actions and from calls that were really made."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehost.api import codes, sts
from rehost.api.actions import ACTIONS
from rehost.api.codes import Code
from rehost.api.parameters import rows
from rehost.api.spec import REQUEST_ID, Action, Field, Fields, Nested, Resource, Wrapped

ADDITION = "_Addition of rehost._"
GENERATED = "<!-- Generated from src/rehost/api/actions by `make docs`. -->\n\n"

COMMON = """\
Every request is signed (HMAC-SHA1 version 1.0 or ACS3-HMAC-SHA256) and names `Action` and `Version`,
2019-06-01 (2015-04-01 for the Security Token Service). It comes by GET or POST on `/`, with its parameters in
the query, in a form, or in both. `Format` is `json`, which is the default, or `xml`, whose root is
`<ActionResponse>`.

Parameters that an action does not have are ignored, an empty value counts as absent, lists are `Name.1`,
`Name.2`, …

Every reply has a `RequestId`. An error also has `Code`, `Message` (the parameter, its value, and what is
allowed) and `Recommend` (what to do next).
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A call that was really made."""

    request: Mapping[str, str]  # without what all requests have
    reply: Mapping[str, Any]


def pages(examples: Mapping[str, Example]) -> dict[str, str]:
    """Text by file name: an index, the error codes, and one page for each action."""
    actions = (*ACTIONS.values(), *sts.ACTIONS.values())
    made = {f"{action.name}.md": _page(action, examples.get(action.name)) for action in actions}
    return {"README.md": _index(), "errors.md": _errors(), **made}


def cli_line(action: str, request: Mapping[str, str]) -> str:
    words = [f"--{name} {_quoted(value)}" for name, value in request.items()]
    return " ".join(["rehost api", action, *words])


def _index() -> str:
    lines = [f"{GENERATED}# The API\n", COMMON, *_action_table(ACTIONS)]
    lines += ["", "Any of them can be called as `rehost api ACTION --Parameter value …`."]
    lines += ["[Error codes](errors.md).\n", "## Security Token Service\n", *_action_table(sts.ACTIONS)]
    return "\n".join(lines) + "\n"


def _action_table(actions: Mapping[str, Action]) -> list[str]:
    return [
        "| action | what it does |",
        "|---|---|",
        *(
            f"| [{action.name}]({action.name}.md) | {_marked(action.about, action.addition)} |"
            for action in actions.values()
        ),
    ]


def _errors() -> str:
    families = [
        (family.text.format("`Name`"), pattern.pattern.replace(r"(\w+)", "Name").replace("\\", ""), family)
        for pattern, family in codes.FAMILIES
    ]
    lines = [
        f"{GENERATED}# Error codes\n",
        "A message begins as the table says; the case at hand follows.\n",
        "## Of any request\n",
        *_code_table(codes.OF_REQUESTS),
        "\n## Of any request with a signature of version 3\n",
        *_code_table(codes.OF_V3),
        "\n## Of parameters\n",
        "`Name` is the parameter's without indexes: `DataDiskPartDevice` for `DataDisk.1.Part.2.Device`.\n",
        *_code_table({pattern: Code(family.status, text, family.when) for text, pattern, family in families}),
        "\n## Of actions\n",
        *_code_table(codes.OF_ACTIONS),
        "\n## Of the Security Token Service\n",
        *_code_table(codes.OF_STS),
    ]
    return "\n".join(lines) + "\n"


def _page(action: Action, example: Example | None) -> str:
    parts = [
        f"{GENERATED}# {action.name}\n",
        _marked(action.about, action.addition) + "\n",
        "## Parameters\n",
        *_parameter_table(action),
        *_rules(action),
        "\n## Reply\n",
        *_field_table(action.reply),
        "\n## Leave\n",
        *_leave(action),
        "\n## Errors\n",
        "Besides those of [any request](errors.md#of-any-request):\n",
        *_code_table({code: codes.find(code) for code in codes.declared(action)}),
        *(_shown(action, example) if example else ()),
    ]
    return "\n".join(parts) + "\n"


def _parameter_table(action: Action) -> list[str]:
    if not action.parameters:
        return ["None."]
    lines = ["| parameter | type | required | allowed | default | meaning |", "|---|---|---|---|---|---|"]
    for row in rows(action.parameters):
        cells = (
            f"`{row.name}`",
            row.type,
            "yes" if row.required else "",
            row.allowed,
            row.default,
            _marked(row.about, row.addition),
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return lines


def _rules(action: Action) -> list[str]:
    said = [(rule.__doc__ or "").strip() for rule in action.rules]
    return ["", *(f"- {text}" for text in said if text)] if any(said) else []


def _leave(action: Action) -> list[str]:
    """What a policy has to allow."""
    if not action.resources:
        return ["None is needed."]
    service = "smc" if action.name in ACTIONS else "sts"
    asked = [f"- {_resource(resource, service)}" for resource in action.resources]
    return [f"A user or a role needs `{service}:{action.name}` on\n", *asked]


def _resource(resource: Resource, service: str) -> str:
    name = f"<{resource.parameter}>" if resource.parameter else "*"
    arn = f"acs:{service}:<region>:<account>:{resource.kind}/{name}" if resource.kind else name
    if resource.when is None:
        return f"`{arn}`"
    parameter, value = resource.when
    return f"`{arn}`, where {parameter} is {value}"


def _field_table(fields: Fields) -> list[str]:
    return ["| field | type | meaning |", "|---|---|---|", *_field_rows((REQUEST_ID, *fields), "")]


def _field_rows(fields: Fields, path: str) -> Iterator[str]:
    for field in fields:
        name = f"{path}{field.name}"
        match field:
            case Field(kind=kind, about=about, addition=addition):
                yield f"| `{name}` | {kind.value} | {_cell(_marked(about, addition))} |"
            case Nested(fields=members):
                yield from _field_rows(members, f"{name}.")
            case Wrapped(item=item, fields=()):
                yield f"| `{name}.{item}[]` | String | |"
            case Wrapped(item=item, fields=members):
                yield from _field_rows(members, f"{name}.{item}[].")


def _code_table(known: Mapping[str, Code]) -> list[str]:
    if not known:
        return ["None."]
    lines = ["| code | HTTP | message | when |", "|---|---|---|---|"]
    return [
        *lines,
        *(f"| `{name}` | {code.status} | {_cell(code.text)} | {code.when} |" for name, code in known.items()),
    ]


def _shown(action: Action, example: Example) -> list[str]:
    query = "".join(f"\n&{name}={value}" for name, value in example.request.items())
    line = f"```sh\n{cli_line(action.name, example.request)}\n```\n"
    return [
        "\n## Example\n",
        f"```\nhttps://HOST:8443/?Action={action.name}{query}\n&<what all requests have>\n```\n",
        *([line] if action.name in ACTIONS else []),
        f"```json\n{json.dumps(example.reply, indent=2, ensure_ascii=False)}\n```",
    ]


def _marked(about: str, addition: bool) -> str:
    return f"{about} {ADDITION}".strip() if addition else about


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _quoted(value: str) -> str:
    plain = value and all(character.isalnum() or character in "-_.:,/" for character in value)
    return value if plain else "'" + value.replace("'", "'\\''") + "'"
