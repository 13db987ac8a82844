"""The table of error codes; that replies keep to it is checked wherever tests call actions: see signed.py."""

import pytest

from rehost.api import codes, errors, sts
from rehost.api.actions import ACTIONS
from rehost.api.spec import Action, Fault, Number, Structs, Text, Texts


def _nothing(*_: object) -> dict[str, object]:
    return {}


def test_every_declared_code_is_in_a_table() -> None:
    for action in (*ACTIONS.values(), *sts.ACTIONS.values()):
        for code in codes.declared(action):
            assert codes.find(code).status in (400, 403, 404), (action.name, code)


def test_every_code_of_the_table_is_some_actions() -> None:
    used = {code for action in ACTIONS.values() for code in codes.declared(action)}
    assert used >= codes.OF_ACTIONS.keys()
    of_sts = {code for action in sts.ACTIONS.values() for code in codes.declared(action)}
    assert of_sts >= codes.OF_STS.keys()


def test_a_code_that_is_in_no_table_is_noticed() -> None:
    with pytest.raises(KeyError, match=r"Nonsense\.Code"):
        errors.documented("Nonsense.Code")


def test_codes_follow_from_parameters() -> None:
    action = Action(
        "A", "",
        (
            Text("Id", required=True),
            Text("Kind", choices={"x": "x"}, codes={Fault.VALUE: "InvalidResourceType.NotFound"}),
            Texts("Source", distinct=True),
            Structs("Disk", members=(Number("Size", required=True),)),
        ),
        _nothing,
        codes=("InternalError", "Duplicate.TagKey", "MissingId"),
    )  # fmt: skip
    assert codes.declared(action) == (
        "MissingId", "InvalidId.Malformed", "InvalidResourceType.NotFound",
        "NumberExceed.Sources", "Duplicate.Source", "InvalidSource.Malformed",
        "NumberExceed.Disks", "MissingDiskSize", "InvalidDiskSize.ValueNotSupported",
        "Duplicate.TagKey",
    )  # fmt: skip
