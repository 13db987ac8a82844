"""Who may begin: limits hold, nobody is overtaken by whom he waits for, and nobody waits without a reason."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.room import Claim, RunningJobs, reasons, subnet_of
from rehost.core.server import BootMode, Interface, Inventory

NET = "10.0.0.0/24"
INVENTORY = Inventory("web1", "Debian", "x86_64", "6.1", BootMode.BIOS, 1, 1 << 30, ())


def claims(*accounts: str) -> list[Claim]:
    return [Claim(f"j-{number}", account, NET) for number, account in enumerate(accounts)]


def test_without_limits_all_begin() -> None:
    assert not RunningJobs()
    assert set(reasons(RunningJobs(), claims(*"aaa"), claims(*"aaa")).values()) == {""}


def test_the_oldest_has_the_room_and_the_reason_has_the_figure() -> None:
    first, second = claims("a", "a")
    found = reasons(RunningJobs(per_account=2), [Claim("j-9", "a")], [first, second])
    assert found[first.job] == ""
    assert found[second.job].startswith("the account a has 2 running jobs, as many as limits.json allows")


def test_one_without_room_does_not_keep_others_back() -> None:
    limits = RunningJobs(per_account=1, per_subnet=2)
    found = reasons(limits, [Claim("j-9", "a", NET)], claims("a", "b", "c"))
    assert [bool(why) for why in found.values()] == [True, False, True]
    assert f"the subnet {NET} has 2" in found["j-2"]


def test_a_worker_that_has_enough_keeps_only_those_waiting_that_can_go_nowhere_else() -> None:
    limits = RunningJobs(per_worker=1)
    anywhere, here, there = (Claim(workers, "a", NET, tuple(workers)) for workers in ("12", "1", "2"))
    running = [Claim("j-9", "a", NET, ("1",))]
    found = list(reasons(limits, running, [anywhere, here, there]).values())
    assert found[0] == ""
    assert found[1].startswith("the worker 1 has 1 running job, as many as limits.json allows")
    assert found[2].startswith("the worker 2 has 1 running job, as many as limits.json allows")


def placed(claims: list[Claim]) -> list[Claim]:
    """Each on the least busy of its workers."""
    busy: Counter[str] = Counter()
    begun = []
    for claim in claims:
        worker = min(claim.workers, key=busy.__getitem__)
        busy[worker] += 1
        begun.append(replace(claim, workers=(worker,)))
    return begun


WORKERS = st.lists(st.sampled_from("123"), min_size=1, unique=True).map(tuple)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), WORKERS), max_size=12),
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 5),
)  # fmt: skip
def test_limits_hold_and_whoever_waits_has_a_full_one(
    asked: list[tuple[str, str, tuple[str, ...]]], per_account: int, per_subnet: int, per_worker: int
) -> None:
    limits = RunningJobs(per_account, per_subnet, per_worker)
    waiting = [Claim(str(number), *places) for number, places in enumerate(asked)]
    found = reasons(limits, [], waiting)
    begun = placed([claim for claim in waiting if not found[claim.job]])
    for most, values in (
        (per_account, [claim.account for claim in begun]),
        (per_subnet, [claim.subnet for claim in begun]),
        (per_worker, [claim.workers[0] for claim in begun]),
    ):
        assert not most or all(values.count(value) <= most for value in values)
    again = reasons(limits, begun, [claim for claim in waiting if found[claim.job]])
    assert all(again.values()), "nobody waits for whom there is room"


@pytest.mark.parametrize(
    ("addresses", "subnet"),
    [
        (("10.1.2.3/8",), "10.1.2.0/24"),
        (("fe80::1/64", "2001:db8:1:2:3::4/48"), "2001:db8:1:2::/64"),
        (("169.254.1.1/16", "127.0.0.1/8"), ""),
        ((), ""),
    ],
)
def test_the_subnet_of_a_source(addresses: tuple[str, ...], subnet: str) -> None:
    card = Interface("eth0", "52:54:00:00:00:01", addresses)
    assert subnet_of(replace(INVENTORY, interfaces=(card,)), RunningJobs()) == subnet


def test_other_prefixes() -> None:
    found = replace(INVENTORY, interfaces=(Interface("eth0", "", ("10.1.2.3/24",)),))
    assert subnet_of(found, RunningJobs(ipv4_prefix=16)) == "10.1.0.0/16"
    assert subnet_of(None, RunningJobs()) == ""
