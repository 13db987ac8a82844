"""docs/api/ shows the actions as they are."""

import re

import pytest

from rehost.api import reference
from rehost.api.actions import ACTIONS
from tests.api.story import PAGES, tell


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return reference.pages(tell(tmp_path_factory.mktemp("story")))


def test_the_pages_are_not_stale(pages: dict[str, str]) -> None:
    kept = {path.name: path.read_text() for path in PAGES.glob("*.md")}
    stale = [name for name in kept.keys() | pages.keys() if kept.get(name) != pages.get(name)]
    assert stale == [], "run: make docs"


def test_every_action_has_an_example(pages: dict[str, str]) -> None:
    assert [name for name in ACTIONS if "## Example" not in pages[f"{name}.md"]] == []


def test_every_rule_says_what_it_is() -> None:
    assert [rule for action in ACTIONS.values() for rule in action.rules if not rule.__doc__] == []


def test_links_lead_to_pages(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert target in pages, (name, target)
