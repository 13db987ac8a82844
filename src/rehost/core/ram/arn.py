"""Names of resources, acs:<service>:<region>:<account>:<path>, and patterns of them."""

from dataclasses import dataclass

from rehost.core.ram.pattern import matches


@dataclass(frozen=True, slots=True)
class Arn:
    service: str
    region: str | None  # None: not known, it may be any
    account: str
    path: str  # sourceServer/s-…, or replicationJob/* for all of the account's

    def __str__(self) -> str:
        region = "*" if self.region is None else self.region
        return f"acs:{self.service}:{region}:{self.account}:{self.path}"


def surely_matches(pattern: str, arn: Arn) -> bool:
    """For a resource whose region is not known: in every region."""
    return _match(pattern, arn, "*" if arn.region is None else arn.region)


def may_match(pattern: str, arn: Arn) -> bool:
    """For a resource whose region is not known: in some region."""
    return _match(pattern, arn, arn.region)


def _match(pattern: str, arn: Arn, region: str | None) -> bool:
    """Part by part: the region is the caller's text, and what it has in it must not be taken for a path."""
    parts = pattern.split(":", 4)
    if len(parts) < 5:
        return pattern == "*"
    there = parts[2] if region is None else region
    return all(map(matches, parts, ("acs", arn.service, there, arn.account, arn.path)))
