"""The actions on source servers."""

from collections.abc import Sequence

from rehost.api import errors
from rehost.api.actions import paging, tag_parameters
from rehost.api.actions.server_reply import FIELDS, reply
from rehost.api.services import Call
from rehost.api.spec import (
    IDENTIFIER,
    NAME,
    SHORT_TEXT,
    Action,
    Resource,
    Text,
    Texts,
    Truth,
    Wrapped,
    choices,
)
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.core.server import ServerState
from rehost.store.paging import Page
from rehost.store.serverrow import ServerFilter, SourceServer

JOB_TYPES = choices("0", "1", "2", "3")


def describe(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    want = ServerFilter(
        ids=values.texts("SourceId"),
        job_id=values.text("JobId"),
        name=values.text("Name"),
        state=values.text("State"),
        workgroup_id=values.text("WorkgroupId"),
        resource_group_id=values.text("ResourceGroupId"),
        job_types=tuple(map(int, values.texts("RelatedJobType"))),
        tags=tag_parameters.tags(values),
    )
    found = call.store.servers.find(call.account, want, page)
    tags = call.store.tags.of([server.id for server in found.items])
    servers = [reply(server, tags[server.id]) for server in found.items]
    return {"SourceServers": {"SourceServer": servers}, **paging.reply(page, found.total)}


def modify(call: Call, values: Values) -> dict[str, object]:
    server = own(call, values.text("SourceId"))
    columns = {"Name": "name", "Description": "description", "ResourceGroupId": "resource_group_id"}
    changes = {column: values.text(name) for name, column in columns.items() if values.given(name)}
    call.store.servers.modify(server.id, call.actor, **changes)
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    server = own(call, values.text("SourceId"))
    call.services.lifecycle.delete_source(server.id, bool(values.truth("Force")), call.actor)
    return {}


def own(call: Call, source_id: str) -> SourceServer:
    """A source server of the caller's account; other accounts' do not exist for them."""
    try:
        server = call.store.servers.get(source_id)
    except NotFoundError:
        raise errors.not_found("SourceId", source_id) from None
    if server.account != call.account:
        raise errors.not_found("SourceId", source_id)
    return server


def all_own(call: Call, source_ids: Sequence[str]) -> tuple[SourceServer, ...]:
    """Source servers of the caller's account; when one is not, its id is in the error."""
    page = Page(size=len(source_ids))
    found = call.store.servers.find(call.account, ServerFilter(ids=source_ids), page).items
    missing = set(source_ids) - {server.id for server in found}
    if missing:
        raise errors.not_found("SourceId", ", ".join(sorted(missing)))
    return found


ACTIONS = (
    Action(
        "DescribeSourceServers",
        "List source servers; all conditions hold together, an empty one does not count.",
        (
            Texts("SourceId", "Source servers by id.", most=50),
            Text("JobId", "The source server of a replication job."),
            Text("State", "Its state.", choices=choices(*(state.value for state in ServerState))),
            Text("Name", "Its name."),
            Text("WorkgroupId", "The workgroup that it is in."),
            Text("ResourceGroupId", "Its resource group."),
            Texts("RelatedJobType", "It has a job of one of these types.", choices=JOB_TYPES, most=4),
            tag_parameters.WANTED,
            *paging.PARAMETERS,
        ),
        describe,
        (Wrapped("SourceServers", "SourceServer", FIELDS), *paging.REPLY),
        (tag_parameters.no_value_alone,),
        ("InvalidParameter.TagValue",),
        resources=(Resource("sourceServer"),),
    ),
    Action(
        "ModifySourceServerAttribute",
        "Give a source server another name or description, in any state but Deleting; what is absent stays.",
        (
            Text("SourceId", "The source server.", required=True),
            Text("Name", "Its name, which no other source server of the account has.", form=NAME),
            Text("Description", "Its description; empty: none.", form=SHORT_TEXT, blank=True),
            Text(
                "ResourceGroupId",
                "Its resource group; empty: none.",
                form=IDENTIFIER,
                blank=True,
                addition=True,
            ),
        ),
        modify,
        codes=("InvalidSourceId.NotFound", "SourceServerState.Invalid", "SourceServerName.Duplicate"),
        resources=(Resource("sourceServer", "SourceId"),),
        in_records=True,
    ),
    Action(
        "DeleteSourceServer",
        "Delete a source server; its agent can then do nothing here any more.",
        (
            Text("SourceId", "The source server.", required=True),
            Truth("Force", "Delete its replication jobs too.", default=False),
        ),
        delete,
        codes=(
            "InvalidSourceId.NotFound",
            "SourceServerState.Invalid",
            "SourceServer.WithRunningReplicationJob",
            "ReplicationJob.Related",
        ),
        resources=(Resource("sourceServer", "SourceId"),),
    ),
)
