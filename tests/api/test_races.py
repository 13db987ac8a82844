"""Requests at the same time: what may happen once happens once."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehost.core.agentapi import Register
from rehost.core.errors import ActivationCodeError
from rehost.core.job import Event
from rehost.store.jobspec import JobSpec
from tests.api.signed import call, send, sign_v1, v1_parameters
from tests.api.world import ACCOUNT, INVENTORY, World

AT_ONCE = 8
Answer = tuple[int, dict[str, Any]]


def at_once(act: Callable[[], Answer]) -> list[Answer]:
    barrier, results = threading.Barrier(AT_ONCE), []

    def one() -> None:
        barrier.wait()
        results.append(act())

    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_nonce(world: World) -> None:
    parameters = v1_parameters(world.key, world.clock(), "DescribeSourceServers")
    signed = sign_v1("GET", parameters, world.key.secret)
    replies = at_once(lambda: send(world, "GET", signed, {}))
    assert sorted(status for status, _ in replies) == [200] + [400] * (AT_ONCE - 1)
    assert {reply.get("Code") for _, reply in replies} == {None, "SignatureNonceUsed"}


def test_a_client_token(world: World) -> None:
    asked = {"RegionId": "local", "SourceId": world.source().id, "ClientToken": "t"}
    replies = at_once(lambda: call(world, "CreateReplicationJob", **asked))
    assert len({reply["JobId"] for _, reply in replies}) == 1
    assert call(world, "DescribeReplicationJobs")[1]["TotalCount"] == 1


def test_one_unfinished_job_of_a_source(world: World) -> None:
    asked = {"RegionId": "local", "SourceId": world.source().id}
    replies = at_once(lambda: call(world, "CreateReplicationJob", **asked))
    assert sorted(status for status, _ in replies) == [200] + [400] * (AT_ONCE - 1)


def test_one_start(world: World) -> None:
    job = call(world, "CreateReplicationJob", RegionId="local", SourceId=world.source().id)[1]["JobId"]
    replies = at_once(lambda: call(world, "StartReplicationJob", JobId=job))
    assert sorted(status for status, _ in replies) == [200] + [400] * (AT_ONCE - 1)
    refused = {reply["Code"] for _, reply in replies if "Code" in reply}
    assert refused <= {"ReplicationJob.InvalidStatus", "SourceServerState.Invalid"}
    assert len(world.workflows.started) == 1


def test_one_activation(world: World) -> None:
    """The last registration of a code is one agent's, however many ask for it."""
    _, code = world.store.codes.create(ACCOUNT, "c", count=1)
    secrets = iter([f"{n:064x}" for n in range(AT_ONCE)])

    def register() -> Answer:
        try:
            world.store.servers.register(Register(code, next(secrets), INVENTORY, "0"))
        except ActivationCodeError:
            return 403, {}
        return 200, {}

    assert sorted(status for status, _ in at_once(register)) == [200] + [403] * (AT_ONCE - 1)


def test_tags_of_a_resource_do_not_become_too_many(world: World) -> None:
    source, numbers = world.source().id, iter(range(AT_ONCE))

    def tag() -> Answer:
        number = next(numbers)
        keys = {f"Tag__{n}__Key": f"k{number}-{n}" for n in range(1, 8)}
        return call(world, "TagResources", ResourceType="sourceserver", ResourceId__1=source, **keys)

    replies = at_once(tag)
    assert sorted(status for status, _ in replies) == [200] * 2 + [400] * (AT_ONCE - 2)
    assert {reply.get("Code") for _, reply in replies} == {None, "NumberExceed.Tags"}
    assert len(world.store.tags.of([source])[source]) == 14


def test_a_workgroup_that_is_deleted_gets_nobody(world: World) -> None:
    """Source servers enter while it is deleted: it is gone and empty, or there and full."""
    for _ in range(3):
        group = call(world, "CreateWorkgroup", Name="group")[1]["WorkgroupId"]
        source, turns = world.source().id, iter(["DeleteWorkgroup", "AssociateSourceServers"] * AT_ONCE)

        def act(group: str = group, source: str = source, turns: Iterator[str] = turns) -> Answer:
            more = {"SourceId__1": source} if (action := next(turns)).startswith("Associate") else {}
            return call(world, action, WorkgroupId=group, **more)

        at_once(act)
        there = call(world, "DescribeWorkgroups", WorkgroupId__1=group)[1]["TotalCount"]
        assert (world.store.servers.get(source).workgroup_id == group) == bool(there)
        if there:
            call(world, "DisassociateSourceServers", WorkgroupId=group, SourceId__1=source)
            call(world, "DeleteWorkgroup", WorkgroupId=group)


def test_a_name_is_given_once(world: World) -> None:
    sources = iter([world.source(name=f"s{number}").id for number in range(AT_ONCE)])
    replies = at_once(
        lambda: call(world, "ModifySourceServerAttribute", SourceId=next(sources), Name="the-only-one")
    )
    assert sorted(status for status, _ in replies) == [200] + [400] * (AT_ONCE - 1)
    assert {reply.get("Code") for _, reply in replies} == {None, "SourceServerName.Duplicate"}


@pytest.mark.parametrize("action", ["DescribeSourceServers", "DescribeReplicationJobs", "DescribeWorkgroups"])
def test_totals_are_right_while_rows_come_and_go(world: World, action: str) -> None:
    """All rows are on one page here: the page and its TotalCount have to be of the same moment."""
    rows = {"DescribeSourceServers": "SourceId", "DescribeReplicationJobs": "JobId"}
    one, done, totals = rows.get(action, "WorkgroupId"), threading.Event(), set()

    def come_and_go() -> None:
        for number in range(40):
            source = world.source(name=f"s{number}").id
            job = world.store.jobs.create(ACCOUNT, JobSpec(source), None, "test").id
            group = world.store.workgroups.create(ACCOUNT, f"g{number}", "", (), None, "test")
            if number % 3:
                world.store.jobs.apply(job, Event.DELETE, "test")
                world.store.jobs.remove(job)
                world.store.servers.remove(source)
                world.store.workgroups.delete(ACCOUNT, group, "test")
        done.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    while not done.is_set():
        reply = call(world, action, PageSize="50")[1]
        (listed,) = next(iter(part for part in reply.values() if isinstance(part, dict))).values()
        assert len({row[one] for row in listed}) == reply["TotalCount"]
        totals.add(reply["TotalCount"])
    thread.join()
    assert len(totals) > 1
