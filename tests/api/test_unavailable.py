"""A database that is away for a while: a clear refusal meanwhile, and no more when it is back."""

from pathlib import Path

from rehost.core.agentapi import Heartbeat
from tests.api.signed import call
from tests.api.test_agents import Agent
from tests.api.world import INVENTORY, World, serving_on
from tests.postgresql import Cluster


def test_a_restart_of_the_database(restarted: Cluster, tmp_path: Path) -> None:
    world = World.make(tmp_path, restarted.make())
    source = world.source()
    beat = Heartbeat(INVENTORY, "", "0.1")
    with serving_on(world.services) as port:
        agent = Agent(world, port, source)
        assert agent.ask("POST", "/v1/heartbeat", beat)[0] == 200
        restarted.stop()
        status, reply = call(world, "DescribeSourceServers")
        assert (status, reply["Code"]) == (503, "ServiceUnavailable")
        assert reply["Recommend"] == "try again"
        for answer in (
            agent.ask("POST", "/v1/heartbeat", beat),
            agent.ask("GET", "/v1/assignment?version=-1&wait=0"),
        ):
            assert (answer[0], answer[1]["code"]) == (503, "ServiceUnavailable")
        restarted.start()
        assert call(world, "DescribeSourceServers")[1]["TotalCount"] == 1
        assert agent.ask("POST", "/v1/heartbeat", beat)[0] == 200
        assert agent.ask("GET", "/v1/assignment?version=-1&wait=0")[0] == 200
    world.store.close()
