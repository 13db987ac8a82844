"""Tags as parameters: to give and to look for, as several actions take them."""

from rehost.api import errors
from rehost.api.spec import (
    RESOURCE_TAG_KEY,
    RESOURCE_TAG_VALUE,
    TAG_KEY,
    TAG_VALUE,
    Field,
    Kind,
    Structs,
    Text,
    Wrapped,
)
from rehost.api.values import Values
from rehost.store.tags import MOST_TAGS, Tag

GIVEN = Structs(
    "Tag", "Tags to give.",
    members=(
        Text("Key", "The tag's key.", form=TAG_KEY, required=True),
        Text("Value", "The tag's value.", form=TAG_VALUE),
    ),
    most=MOST_TAGS,
)  # fmt: skip
GIVEN_TO_RESOURCES = Structs(
    "Tag", "Tags to give; a key that a resource has gets the new value.",
    members=(
        Text("Key", "The tag's key.", form=RESOURCE_TAG_KEY, required=True),
        Text("Value", "The tag's value.", form=RESOURCE_TAG_VALUE),
    ),
    most=MOST_TAGS,
)  # fmt: skip
WANTED = Structs(
    "Tag", "What has all of these tags.",
    members=(
        Text("Key", "The tag's key, exactly."),
        Text("Value", "The tag's value, exactly; absent or empty: any. Needs Key."),
    ),
    most=MOST_TAGS,
)  # fmt: skip
REPLY = Wrapped(
    "Tags", "Tag",
    (Field("Key", Kind.STRING, "The tag's key."), Field("Value", Kind.STRING, "The tag's value.")),
)  # fmt: skip


def tags(values: Values) -> tuple[Tag, ...]:
    """Given ones, or conditions: entries of conditions without anything in them do not count."""
    pairs = ((tag.text("Key"), tag.text("Value")) for tag in values.structs("Tag"))
    return tuple(Tag(key, value) for key, value in pairs if key)


def reply(found: tuple[Tag, ...]) -> dict[str, object]:
    return {"Tag": [{"Key": tag.key, "Value": tag.value} for tag in found]}


def distinct_keys(values: Values) -> None:
    """Each Tag.N.Key is given once."""
    keys = [tag.text("Key") for tag in values.structs("Tag")]
    for key in keys:
        if keys.count(key) > 1:
            raise errors.documented("Duplicate.TagKey", f"It is {errors.shown(key)}.")


def no_value_alone(values: Values) -> None:
    """Tag.N.Value needs Tag.N.Key."""
    for tag in values.structs("Tag"):
        if tag.text("Value") and not tag.text("Key"):
            name = tag.full("Value")
            raise errors.documented(
                "InvalidParameter.TagValue",
                f"{name}={errors.shown(tag.text('Value'))} is without {tag.full('Key')}.",
            )
