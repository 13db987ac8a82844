"""docs/api/ shows the actions as they are."""

import re
from collections.abc import Iterator

import pytest

from rehost.api import reference, sts
from rehost.api.actions import ACTIONS
from rehost.api.parameters import rows
from rehost.api.spec import Field, Fields
from tests.api.story import PAGES, tell


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return reference.pages(tell(tmp_path_factory.mktemp("story")))


def test_the_pages_are_not_stale(pages: dict[str, str]) -> None:
    kept = {path.name: path.read_text() for path in PAGES.glob("*.md")}
    stale = [name for name in kept.keys() | pages.keys() if kept.get(name) != pages.get(name)]
    assert stale == [], "run: make docs"


def test_every_action_has_an_example(pages: dict[str, str]) -> None:
    actions = (*ACTIONS, *sts.ACTIONS)
    assert [name for name in actions if "## Example" not in pages[f"{name}.md"]] == []


def fields(of: Fields) -> Iterator[Field]:
    for field in of:
        if isinstance(field, Field):
            yield field
        else:
            yield from fields(field.fields)


def test_every_field_and_parameter_says_what_it_is() -> None:
    for action in (*ACTIONS.values(), *sts.ACTIONS.values()):
        described = [*rows(action.parameters), *fields(action.reply)]
        assert [one.name for one in described if not one.about] == [], action.name


def test_every_rule_says_what_it_is() -> None:
    assert [rule for action in ACTIONS.values() for rule in action.rules if not rule.__doc__] == []


def test_links_lead_to_pages(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert target in pages, (name, target)
