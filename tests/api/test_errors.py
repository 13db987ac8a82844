"""What an error says: the text of the table once, then the case at hand."""

import pytest

from rehost.api import codes, errors
from rehost.api.errors import ApiError

SAID: list[tuple[ApiError, str]] = [
    (errors.missing("Name"), "Name is mandatory for this action."),
    (errors.missing("ResourceType", code="MissingParameter.ResourceType"), "You must specify ResourceType."),
    (
        errors.malformed("Name", "a", "2 to 128 characters"),
        "The specified parameter Name is not valid. It is 'a'. Allowed: 2 to 128 characters.",
    ),
    (
        errors.not_allowed("PageSize", 51, "1 to 50"),
        "The specified value of PageSize is not supported. It is '51'. Allowed: 1 to 50.",
    ),
    (
        errors.not_allowed("ResourceType", "ecs", "sourceserver", "InvalidResourceType.NotFound"),
        "The specified ResourceType does not exist. It is 'ecs'. Allowed: sourceserver.",
    ),
    (
        errors.too_many("Tag", 20, "Tag.21"),
        "The maximum number of the Tag parameters cannot exceed 20. "
        "Tag.21 was given; the numbers cannot exceed 20.",
    ),
    (
        errors.too_many("ResourceId", 50, "ResourceId.51"),
        "The maximum number of ResourceId parameters cannot exceed 50. "
        "ResourceId.51 was given; the numbers cannot exceed 50.",
    ),
    (errors.twice("ResourceId", "s-1"), "The ResourceId contains duplicate values. 's-1' comes again."),
    (errors.not_found("JobId", "j-1"), "The specified JobId does not exist. It is 'j-1'."),
]


@pytest.mark.parametrize(("error", "message"), SAID)
def test_a_message_begins_as_the_table_says_and_says_it_once(error: ApiError, message: str) -> None:
    assert error.what == message
    assert message.startswith(codes.find(error.reported_code).text)
