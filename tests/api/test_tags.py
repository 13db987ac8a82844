"""TagResources, ListTagResources, UntagResources: each rule of the reference, and the filters by tag."""

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rehost.api.actions import tags
from rehost.api.actions.tags import ROWS
from rehost.api.errors import ApiError
from rehost.store.tags import Tag, TagFilter, Taggable, TagRow
from tests.api.signed import call
from tests.api.world import ACCOUNT, World

SERVER = {"ResourceType": "sourceserver"}


def ids(*resources: str) -> dict[str, str]:
    return {f"ResourceId__{number}": resource for number, resource in enumerate(resources, 1)}


def pairs(**named: str) -> dict[str, str]:
    return {
        name: text
        for number, (key, value) in enumerate(named.items(), 1)
        for name, text in ((f"Tag__{number}__Key", key), (f"Tag__{number}__Value", value))
    }


def listed(world: World, **parameters: str) -> list[tuple[str, str, str]]:
    rows, token = [], ""
    for _ in range(50):
        reply = call(world, "ListTagResources", **{**SERVER, **parameters}, NextToken=token)[1]
        rows += reply["TagResources"]["TagResource"]
        token = reply["NextToken"]
        if not token:
            break
    return [(row["ResourceId"], row["TagKey"], row["TagValue"]) for row in rows]


def refused(world: World, action: str, **parameters: str) -> dict[str, Any]:
    status, reply = call(world, action, **parameters)
    assert status == 400
    return reply


def test_tags_are_given_listed_and_taken(world: World) -> None:
    one, two = sorted(world.source(name=name).id for name in ("one", "two"))
    assert call(world, "TagResources", **SERVER, **ids(one, two), **pairs(team="web", prod=""))[0] == 200
    assert listed(world) == [(s, k, v) for s in (one, two) for k, v in (("prod", ""), ("team", "web"))]
    assert call(world, "TagResources", **SERVER, **ids(one), **pairs(team="db"))[0] == 200
    assert listed(world, **ids(one)) == [(one, "prod", ""), (one, "team", "db")]
    call(world, "UntagResources", **SERVER, **ids(one, two), TagKey__1="prod", TagKey__2="none")
    assert listed(world) == [(one, "team", "db"), (two, "team", "web")]
    described = call(world, "DescribeSourceServers", SourceId__1=one)[1]["SourceServers"]["SourceServer"][0]
    assert described["Tags"] == {"Tag": [{"Key": "team", "Value": "db"}]}


def test_jobs_and_workgroups_have_tags_too(world: World) -> None:
    job = call(
        world, "CreateReplicationJob", RegionId="local", SourceId=world.source().id, **pairs(made="with")
    )[1]["JobId"]
    group = call(world, "CreateWorkgroup", Name="group", **pairs(made="with"))[1]["WorkgroupId"]
    for kind, resource in (("replicationjob", job), ("WorkGroup", group)):
        of = {"ResourceType": kind, **ids(resource)}
        call(world, "TagResources", **of, **pairs(team="web"))
        assert listed(world, **of) == [(resource, "made", "with"), (resource, "team", "web")]
    (shown,) = call(world, "DescribeReplicationJobs", **pairs(team="web"))[1]["ReplicationJobs"][
        "ReplicationJob"
    ]
    assert shown["Tags"]["Tag"] == [{"Key": "made", "Value": "with"}, {"Key": "team", "Value": "web"}]


def test_all_counts_only_without_keys(world: World) -> None:
    source = world.source().id
    call(world, "TagResources", **SERVER, **ids(source), **pairs(a="1", b="2", c="3"))
    call(world, "UntagResources", **SERVER, **ids(source), TagKey__1="a", All="true")
    call(world, "UntagResources", **SERVER, **ids(source), All="false")
    call(world, "UntagResources", **SERVER, **ids(source))
    assert [key for _, key, _ in listed(world)] == ["b", "c"]
    call(world, "UntagResources", **SERVER, **ids(source), All="true")
    assert listed(world) == []
    assert call(world, "UntagResources", **SERVER, **ids(source), All="true")[0] == 200


def test_filters_are_precise_and_hold_together(world: World) -> None:
    one, two = world.source(name="one").id, world.source(name="two").id
    call(world, "TagResources", **SERVER, **ids(one), **pairs(team="web", env="prod"))
    call(world, "TagResources", **SERVER, **ids(two), **pairs(team="web2", Env="prod"))

    def found(**parameters: str) -> set[str]:
        by_tag = {resource for resource, _, _ in listed(world, **parameters)}
        servers = call(world, "DescribeSourceServers", **parameters)[1]["SourceServers"]["SourceServer"]
        assert {server["SourceId"] for server in servers} == by_tag
        return by_tag

    assert found(Tag__1__Key="team") == {one, two}
    assert found(**pairs(team="web")) == {one}
    assert found(**pairs(team="Web")) == found(Tag__1__Key="tea") == set()
    assert found(Tag__1__Key="env") == {one}
    assert found(**pairs(team="web", env="prod")) == {one}
    assert found(Tag__1__Key="env", Tag__2__Key="Env") == set()
    assert found(Tag__1__Key="team", Tag__1__Value="") == {one, two}


def test_pages_hold_while_rows_come_and_go(world: World) -> None:
    sources = sorted(world.source(name=f"s{number}").id for number in range(12))
    for source in sources:
        world.store.tags.add(ACCOUNT, Taggable.SOURCE, [source], [Tag(f"k{n:02}") for n in range(20)])
    first = call(world, "ListTagResources", **SERVER)[1]
    rows = first["TagResources"]["TagResource"]
    assert len(rows) == ROWS
    call(world, "UntagResources", **SERVER, **ids(sources[0], rows[-1]["ResourceId"]), All="true")
    call(world, "TagResources", **SERVER, **ids(sources[0]), **pairs(new=""))
    rest = []
    token = first["NextToken"]
    while token and len(rest) < 1000:
        reply = call(world, "ListTagResources", **SERVER, NextToken=token)[1]
        rest += reply["TagResources"]["TagResource"]
        token = reply["NextToken"]
    later = [source for source in sources if source > rows[-1]["ResourceId"]]
    assert {row["ResourceId"] for row in rest} == set(later)
    assert len(rest) == 20 * len(later)


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "bnVsbA", "W10", "a" * 3000])
def test_a_token_that_is_no_token(world: World, token: str) -> None:
    assert refused(world, "ListTagResources", **SERVER, NextToken=token)["Code"] == "InvalidNextToken"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


@given(st.text(min_size=1, max_size=40) | st.binary(min_size=1, max_size=40).map(encoded))
@example(encoded(b'["a","b",3]'))
def test_any_text_as_a_token(token: str) -> None:
    with pytest.raises(ApiError, match="NextToken") as refused:
        tags._place(TagFilter(Taggable.SOURCE), token)
    assert refused.value.reported_code == "InvalidNextToken"


@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_a_token_leads_back_to_its_place(resource: str, key: str, ids: list[str]) -> None:
    want = TagFilter(Taggable.JOB, ids)
    assert tags._place(want, tags._token(want, TagRow(resource, key, "v"))) == (resource, key)


def test_a_token_belongs_to_its_listing(world: World) -> None:
    sources = [world.source(name=f"s{number}").id for number in range(6)]
    for source in sources:
        world.store.tags.add(ACCOUNT, Taggable.SOURCE, [source], [Tag(f"k{n:02}") for n in range(20)])
    token = call(world, "ListTagResources", **SERVER)[1]["NextToken"]
    reply = refused(world, "ListTagResources", **SERVER, **pairs(k01=""), NextToken=token)
    assert reply["Code"] == "InvalidNextToken"
    assert sources[0] not in token  # opaque
    other = world.store.keys.create("2")
    assert (
        call(world, "ListTagResources", other, **SERVER, NextToken=token)[1]["TagResources"]["TagResource"]
        == []
    )


def test_a_resource_has_20_tags_and_a_call_50_resources(world: World) -> None:
    sources = [world.source(name=f"s{number}").id for number in range(51)]
    keys = {f"k{n}": "" for n in range(20)}
    assert call(world, "TagResources", **SERVER, **ids(*sources[:50]), **pairs(**keys))[0] == 200
    assert call(world, "TagResources", **SERVER, **ids(sources[0]), **pairs(k0="again"))[0] == 200
    reply = refused(world, "TagResources", **SERVER, **ids(sources[50], sources[0]), **pairs(one="more"))
    assert reply["Code"] == "NumberExceed.Tags"
    assert sources[0] in reply["Message"]
    assert listed(world, **ids(sources[50])) == []
    for action in ("TagResources", "ListTagResources", "UntagResources"):
        reply = refused(world, action, **SERVER, **ids(*sources))
        assert reply["Code"] == "NumberExceed.ResourceIds"
        assert "cannot exceed 50" in reply["Message"]


REFUSALS: list[tuple[dict[str, str], str]] = [
    ({"Tag__1__Key": ""}, "MissingTagKey"),  # once it is given, it is not to be empty
    ({"Tag__1__Value": "v"}, "MissingTagKey"),
    ({"Tag__1__Key": "", "Tag__1__Value": "v"}, "MissingTagKey"),
    ({"Tag__1__Key": "aliyun"}, "InvalidTagKey.Malformed"),
    ({"Tag__1__Key": "acs:x"}, "InvalidTagKey.Malformed"),
    ({"Tag__1__Key": "see http://x"}, "InvalidTagKey.Malformed"),
    ({"Tag__1__Key": "k" * 129}, "InvalidTagKey.Malformed"),
    ({"Tag__1__Key": "k" * 128, "Tag__1__Value": "v" * 128}, ""),
    ({"Tag__1__Key": "键 *()!'/:", "Tag__1__Value": "aliyun acs: 值"}, ""),
    ({"Tag__1__Key": "k", "Tag__1__Value": "see https://x"}, "InvalidTagValue.Malformed"),
    ({"Tag__1__Key": "k", "Tag__1__Value": "v" * 129}, "InvalidTagValue.Malformed"),
    ({"Tag__1__Key": "k", "Tag__2__Key": "k"}, "Duplicate.TagKey"),
    ({"Tag__1__Key": "k", "Tag__2__Key": "K"}, ""),
    ({"Tag__21__Key": "k"}, "NumberExceed.Tags"),
    ({"Tag__0__Key": "k"}, "InvalidParameter.Format"),
    ({"Tag__1__Key": "k", "ResourceType": ""}, "MissingParameter.ResourceType"),
    ({"ResourceType": "image"}, "InvalidResourceType.NotFound"),
    ({"ResourceType": "replicationjob"}, "InvalidResourceId.NotFound"),
    ({"ResourceId__1": ""}, "MissingResourceId"),
    ({"ResourceId__2": "s-00000000000000000000"}, "InvalidResourceId.NotFound"),
    ({"ResourceId__1": "s-1", "ResourceId__2": "s-1"}, "Duplicate.ResourceId"),
]


@pytest.mark.parametrize(("parameters", "code"), REFUSALS)
def test_what_can_be_a_tag(world: World, parameters: dict[str, str], code: str) -> None:
    asked = {**SERVER, **ids(world.source().id), **parameters}
    status, reply = call(world, "TagResources", **asked)
    assert (status, reply.get("Code", "")) == (400 if code else 200, code)
    assert (listed(world) == []) == bool(code)


@pytest.mark.parametrize("action", ["ListTagResources", "UntagResources"])
@pytest.mark.parametrize(
    ("parameters", "code"), [case for case in REFUSALS if case[1] and "Resource" in case[1]]
)
def test_resources_are_checked_by_all(
    world: World, action: str, parameters: dict[str, str], code: str
) -> None:
    asked = {**SERVER, **ids(world.source().id), **parameters}
    if (action, code) != ("ListTagResources", "MissingResourceId"):  # it lists all then
        assert refused(world, action, **asked)["Code"] == code


def test_a_value_is_not_looked_for_without_its_key(world: World) -> None:
    for action, of in (
        ("ListTagResources", SERVER),
        ("DescribeSourceServers", {}),
        ("DescribeReplicationJobs", {}),
        ("DescribeWorkgroups", {}),
    ):
        reply = refused(world, action, **of, Tag__1__Value="v")
        assert reply["Code"] == "InvalidParameter.TagValue"
        assert "Tag.1.Key" in reply["Message"]


def test_untag_takes_20_keys_at_most(world: World) -> None:
    reply = refused(world, "UntagResources", **SERVER, **ids(world.source().id), TagKey__21="k")
    assert reply["Code"] == "NumberExceed.Tags"


def test_other_accounts_resources_have_no_tags_here(world: World) -> None:
    source, other = world.source().id, world.store.keys.create("2")
    call(world, "TagResources", **SERVER, **ids(source), **pairs(k="v"))
    assert call(world, "ListTagResources", other, **SERVER)[1]["TagResources"]["TagResource"] == []
    for action in ("TagResources", "ListTagResources", "UntagResources"):
        status, reply = call(world, action, other, **SERVER, **ids(source))
        assert (status, reply["Code"]) == (400, "InvalidResourceId.NotFound")
