"""Pages of listings, as the Describe actions ask for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    number: int = 1  # from 1
    size: int = 10

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of what matches, and how many match in all."""

    items: tuple[T, ...]
    total: int


def fetch(
    connection: sa.Connection,
    query: sa.Select[Any],
    page: Page,
    make: Callable[[Any], T],
    parameters: Mapping[str, Any] | None = None,
) -> Listing[T]:
    """The page of an ordered query; the count and the page are of the same state of the database.

    `parameters`: what the query's columns and conditions leave open.
    """
    count = query.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)
    total = connection.execute(count, parameters).scalar_one()
    rows = connection.execute(query.limit(page.size).offset(page.offset), parameters)
    return Listing(tuple(map(make, rows)), total)
