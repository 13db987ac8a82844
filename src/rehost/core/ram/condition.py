"""When a statement holds: where a request comes from, when, and how."""

import ipaddress
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Key(StrEnum):
    """What a condition can ask for."""

    SOURCE_IP = "acs:SourceIp"
    CURRENT_TIME = "acs:CurrentTime"
    SECURE_TRANSPORT = "acs:SecureTransport"


@dataclass(frozen=True, slots=True)
class Context:
    """One request, as conditions see it."""

    address: str  # the client's; empty or no address: not known
    now: float  # Unix seconds
    secure: bool  # over TLS


Test = Callable[[Context], bool]
Reader = Callable[[str], Test]  # of one value; ValueError says what it has to be


@dataclass(frozen=True, slots=True)
class Operator:
    key: Key  # the one that it is for
    read: Reader
    negated: bool = False  # holds when no value matches, instead of when any does


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key with its values."""

    tests: tuple[Test, ...]
    negated: bool

    def holds(self, context: Context) -> bool:
        return any(test(context) for test in self.tests) is not self.negated


def _within(text: str) -> Test:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("an IP address or a network such as 10.0.0.0/8") from None

    def test(context: Context) -> bool:
        address = _address(context.address)
        return address is not None and address.version == network.version and address in network

    return test


def _address(text: str) -> IpAddress | None:
    """IPv4 clients of an IPv6 socket have addresses such as ::ffff:10.0.0.1: they are IPv4 ones."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _when(compare: Callable[[float, float], bool]) -> Reader:
    def read(text: str) -> Test:
        moment = _moment(text)
        return lambda context: compare(context.now, moment)

    return read


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        known = moment.tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise ValueError("a time with its zone, such as 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+08:00")
    return moment.timestamp()


def _secure(text: str) -> Test:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return lambda context: context.secure is (text == "true")


OPERATORS: Mapping[str, Operator] = {
    "IpAddress": Operator(Key.SOURCE_IP, _within),
    "NotIpAddress": Operator(Key.SOURCE_IP, _within, negated=True),
    "DateEquals": Operator(Key.CURRENT_TIME, _when(operator.eq)),
    "DateNotEquals": Operator(Key.CURRENT_TIME, _when(operator.eq), negated=True),
    "DateLessThan": Operator(Key.CURRENT_TIME, _when(operator.lt)),
    "DateLessThanEquals": Operator(Key.CURRENT_TIME, _when(operator.le)),
    "DateGreaterThan": Operator(Key.CURRENT_TIME, _when(operator.gt)),
    "DateGreaterThanEquals": Operator(Key.CURRENT_TIME, _when(operator.ge)),
    "Bool": Operator(Key.SECURE_TRANSPORT, _secure),
}
