"""The actions on workgroups: source servers that are migrated together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rehost.api import errors
from rehost.api.actions import paging, servers, tag_parameters
from rehost.api.idempotency import token_of
from rehost.api.services import Call
from rehost.api.spec import (
    NAME,
    SHORT_TEXT,
    TOKEN,
    Action,
    Field,
    Fields,
    Kind,
    Resource,
    Text,
    Texts,
    Wrapped,
    choices,
)
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.core.server import ServerState
from rehost.store.tags import Tag
from rehost.store.workgroups import Concern, Workgroup, WorkgroupFilter, WorkgroupStatus

MOST_SOURCES = 50


def create(call: Call, values: Values) -> dict[str, object]:
    group = call.store.workgroups.create(
        call.account,
        values.text("Name"),
        values.text("Description"),
        tag_parameters.tags(values),
        token_of("CreateWorkgroup", values),
        call.actor,
        call.services.workgroup_quota,
    )
    return {"WorkgroupId": group}


def describe(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    want = WorkgroupFilter(
        ids=values.texts("WorkgroupId"),
        name=values.text("Name"),
        status=values.text("Status"),
        tags=tag_parameters.tags(values),
    )
    found = call.store.workgroups.find(call.account, want, page)
    ids = [group.id for group in found.items]
    tags, concerns = call.store.tags.of(ids), call.store.workgroups.concerns(call.account, ids)
    groups = [_reply(group, tags[group.id], concerns[group.id]) for group in found.items]
    return {"Workgroups": {"Workgroup": groups}, **paging.reply(page, found.total)}


def modify(call: Call, values: Values) -> dict[str, object]:
    group = values.text("WorkgroupId")
    name, description = (
        values.text(name) if values.given(name) else None for name in ("Name", "Description")
    )
    with _known(group):
        call.store.workgroups.modify(call.account, group, name, description, call.actor)
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    group = values.text("WorkgroupId")
    with _known(group):
        call.store.workgroups.delete(call.account, group, call.actor)
    return {}


def associate(call: Call, values: Values) -> dict[str, object]:
    group, sources = values.text("WorkgroupId"), values.texts("SourceId")
    for server in servers.all_own(call, sources):
        if server.state is ServerState.DELETING:
            raise errors.documented("SourceServerState.Invalid", f"{server.id} is being deleted.")
    with _known(group):
        call.store.workgroups.associate(call.account, group, sources)
    return {}


def disassociate(call: Call, values: Values) -> dict[str, object]:
    group, sources = values.text("WorkgroupId"), values.texts("SourceId")
    servers.all_own(call, sources)
    with _known(group):
        call.store.workgroups.disassociate(call.account, group, sources)
    return {}


@contextmanager
def _known(group: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise errors.not_found("WorkgroupId", group) from None


def _reply(
    group: Workgroup, tags: tuple[Tag, ...], concerns: Mapping[Concern, list[str]]
) -> dict[str, object]:
    return {
        "Description": group.description,
        "Name": group.name,
        "Status": group.status.value,
        "Tags": tag_parameters.reply(tags),
        "Warnings": {
            "Warning": [
                {"SourceIds": {"SourceId": sources}, "WarningType": concern.value}
                for concern, sources in concerns.items()
            ]
        },
        "WorkgroupId": group.id,
    }


_GROUP = Text("WorkgroupId", "The workgroup.", required=True)
_SOURCES = Texts("SourceId", "The source servers.", required=True, most=MOST_SOURCES, distinct=True)
_DESCRIPTION = Text("Description", "Its description; empty: none.", form=SHORT_TEXT, blank=True)
_FIELDS: Fields = (
    Field("Description", Kind.STRING, "What people say of it."),
    Field("Name", Kind.STRING, "Its name."),
    Field(
        "Status", Kind.STRING,
        "NotStarted: no newest job of its source servers has started; Completed: all have finished; "
        "Cutover: all others wait to be cut over; InProgress: anything else.",
    ),
    tag_parameters.REPLY,
    Wrapped(
        "Warnings", "Warning",
        (
            Wrapped("SourceIds", "SourceId", ()),
            Field(
                "WarningType", Kind.STRING,
                "InError: the newest job failed; NotPassed: its image did not boot; UnRelated: no job.",
            ),
        ),
    ),
    Field("WorkgroupId", Kind.STRING, "Its id."),
)  # fmt: skip

_ONE_GROUP = (Resource("workgroup", "WorkgroupId"),)
_GROUP_AND_SOURCES = (*_ONE_GROUP, Resource("sourceServer", "SourceId"))

ACTIONS = (
    Action(
        "CreateWorkgroup",
        "Make a workgroup.",
        (
            Text("Name", "Its name, the only one of it in the account.", form=NAME, required=True),
            _DESCRIPTION,
            tag_parameters.GIVEN,
            Text("ClientToken", "Repetitions with the same token make one workgroup.", form=TOKEN),
        ),
        create,
        (Field("WorkgroupId", Kind.STRING, "The new workgroup."),),
        (tag_parameters.distinct_keys,),
        (
            "Duplicate.TagKey",
            "WorkgroupName.Duplicate",
            "QuotaExceeded.Workgroup",
            "IdempotentParameterMismatch",
        ),
        resources=(Resource("workgroup"),),
        in_records=True,
    ),
    Action(
        "DescribeWorkgroups",
        "List workgroups; all conditions hold together, an empty one does not count.",
        (
            Texts("WorkgroupId", "By id.", most=50),
            Text("Name", "By name."),
            Text("Status", "By status.", choices=choices(*(status.value for status in WorkgroupStatus))),
            tag_parameters.WANTED,
            *paging.PARAMETERS,
        ),
        describe,
        (Wrapped("Workgroups", "Workgroup", _FIELDS), *paging.REPLY),
        (tag_parameters.no_value_alone,),
        ("InvalidParameter.TagValue",),
        resources=(Resource("workgroup"),),
    ),
    Action(
        "ModifyWorkgroupAttribute",
        "Give a workgroup another name or description; what is absent stays.",
        (_GROUP, Text("Name", "Its new name.", form=NAME), _DESCRIPTION),
        modify,
        codes=("InvalidWorkgroupId.NotFound", "WorkgroupName.Duplicate"),
        resources=_ONE_GROUP,
        in_records=True,
    ),
    Action(
        "DeleteWorkgroup",
        "Delete a workgroup that no source server is in.",
        (_GROUP,),
        delete,
        codes=("InvalidWorkgroupId.NotFound", "SourceServer.Related"),
        resources=_ONE_GROUP,
        in_records=True,
    ),
    Action(
        "AssociateSourceServers",
        "Put up to 50 source servers into a workgroup, all or none. Each is in one workgroup at most.",
        (_GROUP, _SOURCES),
        associate,
        codes=(
            "InvalidWorkgroupId.NotFound",
            "InvalidSourceId.NotFound",
            "SourceServerState.Invalid",
            "SourceServer.AlreadyAssociated",
        ),
        resources=_GROUP_AND_SOURCES,
        in_records=True,
    ),
    Action(
        "DisassociateSourceServers",
        "Take up to 50 source servers out of their workgroup, all or none.",
        (_GROUP, _SOURCES),
        disassociate,
        codes=(
            "InvalidWorkgroupId.NotFound",
            "InvalidSourceId.NotFound",
            "SourceServer.NotAssociated",
        ),
        resources=_GROUP_AND_SOURCES,
        in_records=True,
    ),
)
