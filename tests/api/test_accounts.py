"""Accounts never see each other's resources: every action of the table is tried across accounts."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from rehost.api.actions import ACTIONS
from rehost.api.spec import Action, Number, Parameter, Structs, Text, Texts, Time, Truth
from rehost.store.schema import metadata
from tests.api.signed import call
from tests.api.world import ACCOUNT, World

OTHER = "2222222222222222"
BOOKKEEPING = {"nonces", "audit", "accounts", "access_keys"}


def value(parameter: Parameter, ids: dict[str, str]) -> str:
    """Something that the parameter takes; the other account's id where it names a resource."""
    if parameter.name in ids:
        return ids[parameter.name]
    match parameter:
        case Text(choices=choices) if choices:
            return next(iter(choices.values()))
        case Number(among=among, least=least):
            return str(among[0] if among else least)
        case Truth():
            return "true"
        case Time():
            return "2100-01-01T00:00:00Z"
    return "abc"


def filled(action: Action, ids: dict[str, str], **more: str) -> dict[str, str]:
    """The required parameters and those that name resources."""
    values: dict[str, str] = {}
    for parameter in action.parameters:
        if isinstance(parameter, Structs):
            if parameter.required:
                values |= {f"{parameter.name}__1__{m.name}": value(m, ids) for m in parameter.members}
        elif parameter.required or parameter.name in ids:
            name = f"{parameter.name}__1" if isinstance(parameter, Texts) else parameter.name
            values[name] = value(parameter, ids)
    return {**values, **more}


def rows(world: World, account: str) -> dict[str, list[dict[str, Any]]]:
    """All that the database has of an account, and what belongs to no account by a column."""
    found = {}
    with world.store.database.read() as connection:
        for table in metadata.sorted_tables:
            if table.name in BOOKKEEPING:
                continue
            query = sa.select(table)
            if "account" in table.c:
                query = query.where(table.c.account == account)
            found[table.name] = [dict(row._mapping) for row in connection.execute(query)]
    return found


@pytest.fixture
def theirs(world: World) -> dict[str, str]:
    """What the other account has, by the names of parameters that can name it."""
    owner = world.store.keys.create(OTHER)
    free = world.source(OTHER, name="free").id
    source = world.source(OTHER, name="theirs").id
    wanted = {"SourceId": source, "RegionId": "cn-a", "Name": "theirs"}
    job = call(world, "CreateReplicationJob", owner, **wanted)[1]["JobId"]
    ids = {"SourceId": source, "JobId": job, "InstanceId": "i-theirs", "Free": free}
    for action, parameter, reply in (
        ("CreateAccessToken", "AccessTokenId", "AccessTokenId"),
        ("CreateWorkgroup", "WorkgroupId", "WorkgroupId"),
    ):
        if action in ACTIONS:
            made = call(world, action, owner, **filled(ACTIONS[action], {}))[1]
            ids[parameter] = made[reply]
    return ids


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_neither_sees_nor_changes_what_another_account_has(
    world: World, theirs: dict[str, str], name: str
) -> None:
    action = ACTIONS[name]
    before = rows(world, OTHER)
    attempts = [filled(action, theirs), filled(action, {**theirs, "SourceId": theirs["Free"]})]
    attempts += [filled(action, {parameter: theirs[parameter]}) for parameter in theirs]
    for kind, parameter in (("sourceserver", "SourceId"), ("replicationjob", "JobId")):
        attempts.append(filled(action, {**theirs, "ResourceId": theirs[parameter], "ResourceType": kind}))
    for attempt in attempts:
        for more in ({}, {"Force": "true"}):
            status, reply = call(world, name, **attempt, **more)
            if status == 200:
                text = json.dumps(reply)
                assert not any(known in text for known in theirs.values()), reply
                assert "theirs" not in text
    after = rows(world, OTHER)
    ours = {table: found for table, found in rows(world, ACCOUNT).items() if table not in before}
    assert not ours
    for table, found in before.items():
        assert [row for row in found if row not in after[table]] == [], f"{name} changed {table}"


@pytest.mark.parametrize(
    "name", [name for name, action in ACTIONS.items() if any(r.parameter for r in action.resources)]
)
def test_anothers_resource_is_as_unknown_as_one_that_nobody_has(
    world: World, theirs: dict[str, str], name: str
) -> None:
    """But for the id itself the answers are the same: they do not tell that there is one."""
    named = {parameter: theirs[parameter] for parameter in theirs if parameter != "Free"}
    named["ResourceId"] = theirs["SourceId"]
    unknown = {parameter: "x" * len(known) for parameter, known in named.items()}
    answers = []
    for ids in (named, unknown):
        status, reply = call(world, name, **filled(ACTIONS[name], ids))
        text = json.dumps({part: reply.get(part) for part in ("Code", "Message", "Recommend")})
        for known in sorted(ids.values(), key=len, reverse=True):
            text = text.replace(known, "…")
        answers.append((status, text))
    assert answers[0] == answers[1]
    assert answers[0][0] >= 400
