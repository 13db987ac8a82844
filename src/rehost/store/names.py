"""The names that people give to accounts, users, roles and policies."""

import re

from rehost.core.errors import InvalidValueError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_name(name: str, what: str) -> str:
    """The name; InvalidValueError for one that would not stand in an ARN without doubt."""
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{name[:80]!a} cannot be the name of {what}", "use 1 to 64 letters, digits and . _ -"
        )
    return name
