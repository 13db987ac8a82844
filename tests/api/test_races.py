"""Requests at the same time: what may happen once happens once."""

import threading
from collections.abc import Callable
from typing import Any

from rehost.core.agentapi import Register
from rehost.core.errors import ActivationCodeError
from tests.api.signed import call, send, sign_v1, v1_parameters
from tests.api.world import ACCOUNT, INVENTORY, World

AT_ONCE = 8


def at_once(act: Callable[[], tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
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

    def register() -> tuple[int, dict[str, Any]]:
        try:
            world.store.servers.register(Register(code, next(secrets), INVENTORY, "0"))
        except ActivationCodeError:
            return 403, {}
        return 200, {}

    assert sorted(status for status, _ in at_once(register)) == [200] + [403] * (AT_ONCE - 1)
