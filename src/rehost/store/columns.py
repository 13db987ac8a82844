"""Column types: values that live in the database as JSON text."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class Json(TypeDecorator[Any]):
    """A value of one type as JSON text, on every database the same.

    Text and not the databases' own JSON: what comes back is byte for byte what was written, and the type
    is checked when it is read.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value, type=self.kind)
