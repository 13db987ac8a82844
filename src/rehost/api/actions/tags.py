"""The actions on tags: of source servers, replication jobs, and workgroups."""

import base64
import hashlib

import msgspec

from rehost.api import errors
from rehost.api.actions import tag_parameters
from rehost.api.services import Call
from rehost.api.spec import Action, Fault, Field, Kind, Resource, Text, Texts, Truth, Wrapped, choices
from rehost.api.values import Values
from rehost.store.tags import MOST_TAGS, TagFilter, Taggable, TagRow

MOST_RESOURCES = 50
ROWS = 100  # of a page
_LONGEST_TOKEN = 2048  # characters; the key in it has at most 128, of up to 4 bytes each


def tag(call: Call, values: Values) -> dict[str, object]:
    call.store.tags.add(call.account, _kind(values), values.texts("ResourceId"), tag_parameters.tags(values))
    return {}


def untag(call: Call, values: Values) -> dict[str, object]:
    keys = values.texts("TagKey")
    everything = not keys and bool(values.truth("All"))
    call.store.tags.remove(
        call.account, _kind(values), values.texts("ResourceId"), None if everything else keys
    )
    return {}


def listed(call: Call, values: Values) -> dict[str, object]:
    want = TagFilter(_kind(values), values.texts("ResourceId"), tag_parameters.tags(values))
    rows = call.store.tags.find(call.account, want, _place(want, values.text("NextToken")), ROWS + 1)
    page, more = rows[:ROWS], rows[ROWS:]
    return {
        "NextToken": _token(want, page[-1]) if more else "",
        "TagResources": {"TagResource": [_row(want.kind, row) for row in page]},
    }


def _kind(values: Values) -> Taggable:
    return Taggable(values.text("ResourceType"))


def _row(kind: Taggable, row: TagRow) -> dict[str, object]:
    return {
        "ResourceId": row.resource,
        "ResourceType": f"ALIYUN::SMC::{kind.upper()}",
        "TagKey": row.key,
        "TagValue": row.value,
    }


def _token(want: TagFilter, last: TagRow) -> str:
    """Where the next page begins, and what was asked for."""
    place = msgspec.json.encode((_fingerprint(want), last.resource, last.key))
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def _place(want: TagFilter, token: str) -> tuple[str, str]:
    if not token:
        return "", ""
    try:
        place = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        asked, resource, key = msgspec.json.decode(place, type=tuple[str, str, str])
    except (ValueError, msgspec.DecodeError):
        raise errors.documented(
            "InvalidNextToken", f"{errors.shown(token)} is not one of an earlier reply.", "Begin without one."
        ) from None
    if asked != _fingerprint(want):
        raise errors.documented(
            "InvalidNextToken",
            "It is of a listing with other parameters.",
            "Repeat the parameters of the first request with each NextToken, or begin without one.",
        )
    return resource, key


def _fingerprint(want: TagFilter) -> str:
    return hashlib.sha256(msgspec.json.encode(want)).hexdigest()[:16]


_TYPE = Text(
    "ResourceType", "The type of the resources; workgroup is an addition of rehost.", required=True,
    choices=choices(*(kind.value for kind in Taggable)),
    codes={Fault.MISSING: "MissingParameter.ResourceType", Fault.VALUE: "InvalidResourceType.NotFound"},
)  # fmt: skip
_RESOURCES = Texts("ResourceId", "The resources' ids.", required=True, most=MOST_RESOURCES, distinct=True)

_TAGGED = (
    Resource("sourceServer", "ResourceId", when=("ResourceType", Taggable.SOURCE)),
    Resource("replicationJob", "ResourceId", when=("ResourceType", Taggable.JOB)),
    Resource("workgroup", "ResourceId", when=("ResourceType", Taggable.WORKGROUP)),
)

ACTIONS = (
    Action(
        "TagResources",
        "Give up to 50 resources up to 20 tags; all get them or none. A resource has at most 20 tags.",
        (_TYPE, _RESOURCES, tag_parameters.GIVEN_TO_RESOURCES),
        tag,
        rules=(tag_parameters.distinct_keys,),
        codes=("InvalidResourceId.NotFound", "NumberExceed.Tags", "Duplicate.TagKey"),
        resources=_TAGGED,
        in_records=True,
    ),
    Action(
        "ListTagResources",
        "List tags with their resources: of these ids, or of those that have all of the tags, or of all. "
        "Upper and lower case differ.",
        (
            _TYPE,
            Texts("ResourceId", "The resources' ids.", most=MOST_RESOURCES, distinct=True),
            tag_parameters.WANTED,
            Text(
                "NextToken", "Where the page begins: NextToken of the page before, with the same parameters.",
                longest=_LONGEST_TOKEN, codes={Fault.FORM: "InvalidNextToken"},
            ),
        ),
        listed,
        (
            Field("NextToken", Kind.STRING, "Where the next page begins; empty: this one is the last."),
            Wrapped(
                "TagResources", "TagResource",
                (
                    Field("ResourceId", Kind.STRING, "The resource."),
                    Field("ResourceType", Kind.STRING, "ALIYUN::SMC::SOURCESERVER and the like."),
                    Field("TagKey", Kind.STRING, "The tag's key."),
                    Field("TagValue", Kind.STRING, "The tag's value."),
                ),
            ),
        ),
        (tag_parameters.no_value_alone,),
        ("InvalidResourceId.NotFound", "InvalidParameter.TagValue", "InvalidNextToken"),
        resources=_TAGGED,
    ),
    Action(
        "UntagResources",
        "Take tags from up to 50 resources; a tag that is not there is no error.",
        (
            _TYPE,
            _RESOURCES,
            Texts(
                "TagKey", "The keys of the tags.",
                most=MOST_TAGS, codes={Fault.COUNT: "NumberExceed.Tags"},
            ),
            Truth("All", "Take all tags; counts only when no TagKey is given.", default=False),
        ),
        untag,
        codes=("InvalidResourceId.NotFound",),
        resources=_TAGGED,
        in_records=True,
    ),
)  # fmt: skip
