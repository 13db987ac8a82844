"""Parsing by description: flattened names, types, ranges, and refusals that name the parameter."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.api.actions import ACTIONS
from rehost.api.errors import ApiError
from rehost.api.spec import NAME, Action, Number, Structs, Text, Texts, Time, Truth, choices
from rehost.api.values import Values, parse

DISKS = Structs(
    "Disk",
    members=(
        Number("Size", least=1, most=9),
        Text("Kind", choices=choices("Fast", "Slow")),
        Structs("Part", members=(Text("Device", required=True), Truth("Block", default=True)), most=4),
    ),
    most=3,
)
ACTION = Action(
    "Test", "", (
        Text("Id", required=True), Text("Name", form=NAME), Number("Count", least=-5, most=5, default=2),
        Truth("Flag"), Time("At"), Time("Until", blank=True), Texts("Key", most=3), DISKS,
    ),
    handle=lambda call, values: {},
)  # fmt: skip


def read(**entries: str) -> Values:
    """Dots are written as double underscores."""
    return parse(ACTION, [(name.replace("__", "."), value) for name, value in {"Id": "x", **entries}.items()])


def refusal(**entries: str) -> ApiError:
    with pytest.raises(ApiError) as raised:
        read(**entries)
    return raised.value


def test_nested_lists() -> None:
    values = read(
        Disk__2__Size="3",
        Disk__1__Part__2__Device="b",
        Disk__1__Part__1__Device="a",
        Disk__1__Part__1__Block="False",
    )
    first, second = values.structs("Disk")
    assert [part.text("Device") for part in first.structs("Part")] == ["a", "b"]
    assert [part.truth("Block") for part in first.structs("Part")] == [False, True]
    assert (first.number("Size"), second.number("Size")) == (None, 3)
    assert second.full("Size") == "Disk.2.Size"
    assert first.structs("Part")[1].full("Device") == "Disk.1.Part.2.Device"


def test_lists_of_texts() -> None:
    assert read(Key__2="b", Key__1="a").texts("Key") == ("a", "b")
    assert read(Key="a").texts("Key") == ("a",)
    assert read(Key="", Id="x").texts("Key") == ()


def test_defaults_empty_values_and_unknown_names() -> None:
    values = read(Name="", Count="", Flag="", At="", Unknown="1", OwnerId="7")
    assert values.text("Name") == ""
    assert values.number("Count") == 2
    assert values.truth("Flag") is None
    assert values.time("At") is None
    assert not values.given("Until")
    assert read(Until="").given("Until")
    assert read(Until="").time("Until") is None


@pytest.mark.parametrize(("text", "value"), [("True", True), ("true", True), ("FALSE", False)])
def test_truth_in_every_clients_spelling(text: str, value: bool) -> None:
    assert read(Flag=text).truth("Flag") is value


def test_choices_are_reported_as_documented() -> None:
    assert read(Disk__1__Kind="fAST").structs("Disk")[0].text("Kind") == "Fast"


@pytest.mark.parametrize(
    ("entries", "code", "named"),
    [
        ({"Id": ""}, "MissingId", "Id is mandatory for this action."),
        ({"Disk__1__Part__1__Block": "true"}, "MissingDiskPartDevice", "Disk.1.Part.1.Device is mandatory"),
        ({"Count": "six"}, "InvalidParameter.Format", "Count='six' is not an integer"),
        ({"Count": "1" * 30}, "InvalidParameter.Format", "Count"),
        ({"Count": "٣"}, "InvalidParameter.Format", "Count"),
        ({"Count": "6"}, "InvalidCount.ValueNotSupported", "'6'. Allowed: -5 to 5"),
        ({"Disk__2__Size": "10"}, "InvalidDiskSize.ValueNotSupported", "Disk.2.Size"),
        ({"Disk__1__Kind": "Odd"}, "InvalidDiskKind.ValueNotSupported", "Allowed: Fast, Slow"),
        ({"Flag": "yes"}, "InvalidParameter.Format", "Flag='yes' is not true or false"),
        ({"At": "today"}, "InvalidAt.Malformed", "YYYY-MM-DDThh:mm:ssZ"),
        ({"At": "2020-02-30T00:00:00Z"}, "InvalidAt.Malformed", "At"),
        ({"Name": "1a"}, "InvalidName.Malformed", "'1a'"),
        ({"Name": "a"}, "InvalidName.Malformed", "2 to 128"),
        ({"Name": "a" * 129}, "InvalidName.Malformed", "…"),
        ({"Name": "http://x"}, "InvalidName.Malformed", "http://"),
        ({"Id": "x" * 129}, "InvalidId.Malformed", "at most 128 characters"),
        ({"Key__2": "x" * 129}, "InvalidKey.Malformed", "at most 128 characters"),
        ({"Key__4": "x"}, "NumberExceed.Keys", "cannot exceed 3"),
        ({"Disk__999999999__Size": "1"}, "NumberExceed.Disks", "Disk.999999999"),
        ({"Disk__" + "9" * 5000 + "__Size": "1"}, "InvalidParameter.Format", "Disk"),
        ({"Disk__0__Size": "1"}, "InvalidParameter.Format", "N from 1"),
        ({"Disk__-1__Size": "1"}, "InvalidParameter.Format", "N from 1"),
        ({"Disk__01__Size": "1"}, "InvalidParameter.Format", "N from 1"),
        ({"Disk__Size": "1"}, "InvalidParameter.Format", "Disk.Size"),
        ({"Disk": "[]"}, "InvalidParameter.Format", "Disk"),
        ({"Key__1__Deep": "x"}, "InvalidParameter.Format", "Key.1.Deep"),
        ({"Name__1": "x"}, "InvalidParameter.Format", "Name is not a list"),
        ({"Disk__1__Size__1__2__3": "x"}, "InvalidParameter.Format", "Disk.1.Size"),
    ],
)
def test_refusals(entries: Mapping[str, str], code: str, named: str) -> None:
    error = refusal(**entries)
    assert error.reported_code == code
    assert named in error.what
    assert error.status == 400


@pytest.mark.parametrize("name", ["ab", "aB:9_-z", "迁移任务1", "测试"])
def test_names(name: str) -> None:
    assert read(Name=name).text("Name") == name


words = st.sampled_from(
    ["Disk", "Part", "Size", "Key", "Tag", "Value", "DataDisk", "Index", "Name", "SourceId"]
)
parts = words | st.integers(-2, 10**12).map(str) | st.text(max_size=4)
names = st.lists(parts, min_size=1, max_size=6).map(".".join)


@given(
    st.dictionaries(names, st.text(max_size=20), max_size=12), st.sampled_from([ACTION, *ACTIONS.values()])
)
def test_any_parameters_are_parsed_or_refused(entries: dict[str, str], action: Action) -> None:
    with suppress(ApiError):
        parse(action, list(entries.items()))


def flat(prefix: str, value: Any) -> dict[str, str]:
    """As the clients flatten lists and structures."""
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value, 1) for k, v in flat(f"{prefix}.{i}", item).items()}
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in flat(f"{prefix}.{name}", item).items()}
    return {prefix: str(value)}


@given(
    st.lists(
        st.fixed_dictionaries(
            {"Size": st.integers(1, 9)},
            optional={
                "Part": st.lists(st.fixed_dictionaries({"Device": st.text("ab", min_size=1)}), max_size=4)
            },
        ),
        max_size=3,
    ),
    st.randoms(),
)
def test_flattened_in_any_order_comes_back(disks: list[dict[str, Any]], random: Any) -> None:
    entries = [("Id", "x"), *flat("Disk", disks).items()]
    random.shuffle(entries)
    values = parse(ACTION, entries).structs("Disk")
    assert [disk.number("Size") for disk in values] == [disk["Size"] for disk in disks]
    assert [[part.text("Device") for part in disk.structs("Part")] for disk in values] == [
        [part["Device"] for part in disk.get("Part", [])] for disk in disks
    ]
