"""The actions on access tokens, which are activation codes: leave for agents to register."""

from rehost.api import errors, times
from rehost.api.actions import paging
from rehost.api.services import Call
from rehost.api.spec import (
    NAME,
    SHORT_TEXT,
    Action,
    Field,
    Fields,
    Kind,
    Number,
    Resource,
    Text,
    Texts,
    Wrapped,
    choices,
)
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.store.codes import DAY, QUOTA, ActivationCode, CodeFilter, CodeStatus
from rehost.store.paging import Page


def create(call: Call, values: Values) -> dict[str, object]:
    record, code = call.store.codes.create(
        call.account,
        values.text("Name"),
        values.integer("Count"),
        values.integer("TimeToLiveInDays"),
        values.text("Description"),
        call.services.code_quota,
    )
    return {"AccessTokenCode": code, "AccessTokenId": record.id}


def listed(call: Call, values: Values) -> dict[str, object]:
    page = Page(values.integer("PageNumber"), values.integer("PageSize"))
    want = CodeFilter(values.texts("AccessTokenId"), values.text("Name"), values.text("Status"))
    found = call.store.codes.find(call.account, want, page)
    codes = [_reply(code) for code in found.items]
    return {"AccessTokens": {"AccessToken": codes}, **paging.reply(page, found.total)}


def disable(call: Call, values: Values) -> dict[str, object]:
    token = values.text("AccessTokenId")
    try:
        call.store.codes.disable(call.account, token)
    except NotFoundError:
        raise errors.not_found("AccessTokenId", token) from None
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    token = values.text("AccessTokenId")
    try:
        call.store.codes.delete(call.account, token)
    except NotFoundError:
        raise errors.not_found("AccessTokenId", token) from None
    return {}


def _reply(code: ActivationCode) -> dict[str, object]:
    """Numbers are texts here: the newest SDK's models have them so."""
    return {
        "AccessTokenId": code.id,
        "Count": str(code.count),
        "CreationTime": times.write(code.created),
        "Description": code.description,
        "Name": code.name,
        "RegisteredCount": str(code.used),
        "Status": code.status.value,
        "TimeToLiveInDays": f"{(code.expires - code.created) / DAY:.10g}",
    }


_TOKEN = (Text("AccessTokenId", "The activation code's id.", required=True),)
_FIELDS: Fields = (
    Field("AccessTokenId", Kind.STRING, "Its id."),
    Field("Count", Kind.STRING, "How many agents may register with it."),
    Field("CreationTime", Kind.TIME, "When it was made."),
    Field("Description", Kind.STRING, "What people say of it."),
    Field("Name", Kind.STRING, "Its name."),
    Field("RegisteredCount", Kind.STRING, "How many agents have registered with it."),
    Field("Status", Kind.STRING, "activated, unactivated (disabled) or expired."),
    Field("TimeToLiveInDays", Kind.STRING, "How long it is good for, from its creation."),
)

ACTIONS = (
    Action(
        "CreateAccessToken",
        "Make an activation code. The code itself is told now and never again.",
        (
            Text("Name", "Its name.", form=NAME),
            Text("Description", "What it is for.", form=SHORT_TEXT),
            Number("Count", "How many agents may register with it.", least=1, most=1000, default=100),
            Number("TimeToLiveInDays", "How many days it is good for.", least=1, most=90, default=30),
        ),
        create,
        (
            Field("AccessTokenCode", Kind.STRING, "The code that agents register with."),
            Field("AccessTokenId", Kind.STRING, "Its id, by which it is listed, disabled and deleted."),
        ),
        codes=("QuotaExceeded.AccessToken",),
        resources=(Resource("accessToken"),),
        in_records=True,
    ),
    Action(
        "ListAccessTokens",
        "List activation codes; all conditions hold together, an empty one does not count.",
        (
            Texts("AccessTokenId", "By id.", most=50),
            Text("Name", "By name."),
            Text("Status", "By status.", choices=choices(*(status.value for status in CodeStatus))),
            Number("PageNumber", "The page, from 1.", least=1, most=10**9, default=1, addition=True),
            Number(
                "PageSize", "Rows of a page; absent: all, as SDKs cannot ask for a second page.",
                least=1, most=QUOTA, default=QUOTA, addition=True,
            ),
        ),
        listed,
        (Wrapped("AccessTokens", "AccessToken", _FIELDS), *paging.REPLY),
        resources=(Resource("accessToken"),),
    ),
    Action(
        "DisableAccessToken",
        "Let nobody register with an activation code any more; who has registered stays.",
        _TOKEN,
        disable,
        codes=("InvalidAccessTokenId.NotFound",),
        resources=(Resource("accessToken", "AccessTokenId"),),
        in_records=True,
    ),
    Action(
        "DeleteAccessToken",
        "Delete an activation code in any status; who has registered with it stays.",
        _TOKEN,
        delete,
        codes=("InvalidAccessTokenId.NotFound",),
        resources=(Resource("accessToken", "AccessTokenId"),),
        in_records=True,
    ),
)  # fmt: skip
