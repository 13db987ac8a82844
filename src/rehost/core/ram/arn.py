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
    return matches(pattern, str(arn))


def may_match(pattern: str, arn: Arn) -> bool:
    """For a resource whose region is not known: in some region."""
    parts = pattern.split(":", 4)
    if arn.region is None and len(parts) == 5:
        parts[2] = "*"
    return matches(":".join(parts), str(arn))
