"""Pages of listings, as the Describe actions ask for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from rehost.store.schema import totals

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


def given(want: Any) -> dict[str, Any]:
    """The conditions of a filter that count: those that are not empty."""
    return {name: value for name in want.__slots__ if (value := getattr(want, name)) or value == 0}


def all_of(table: sa.Table) -> sa.Select[tuple[int]]:
    """How many rows an `account` has, which is kept: to count 100,000 takes 5 ms."""
    mine = sa.and_(totals.c.account == sa.bindparam("account"), totals.c.kind == table.name)
    return sa.select(sa.func.coalesce(sa.func.max(totals.c.number), 0)).where(mine)


class Pages:
    """An ordered query page by page; to build it takes longer than to execute it, so it is kept where it is
    asked often."""

    def __init__(self, query: sa.Select[Any], count: sa.Select[tuple[int]] | None = None) -> None:
        """`count`: how many rows the query has, where that is known without looking at them."""
        self._query = query
        counted = query.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)
        self._count = counted if count is None else count
        self._rows = query.limit(sa.bindparam("page_size")).offset(sa.bindparam("page_offset"))

    def where(self, *conditions: sa.ColumnElement[bool]) -> "Pages":
        return Pages(self._query.where(*conditions)) if conditions else self

    def fetch(
        self,
        connection: sa.Connection,
        page: Page,
        make: Callable[[Any], T],
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> Listing[T]:
        """The count and the page are of the same state of the database.

        `parameters`: what the query's columns and conditions leave open.
        """
        total = connection.execute(self._count, parameters).scalar_one()
        place = {"page_size": page.size, "page_offset": page.offset}
        rows = connection.execute(self._rows, {**parameters, **place}).all()
        return Listing(tuple(map(make, rows)), total)
