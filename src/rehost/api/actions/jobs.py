"""The actions on replication jobs."""

from collections.abc import Iterator
from contextlib import contextmanager

from rehost.api import errors
from rehost.api.actions import (
    job_changes,
    job_codes,
    job_events,
    job_parameters,
    paging,
    servers,
    tag_parameters,
)
from rehost.api.actions.job_reply import FIELDS, reply
from rehost.api.actions.job_request import changed_spec, job_spec
from rehost.api.idempotency import token_of
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Kind, Resource, Text, Truth, Wrapped
from rehost.api.values import Values
from rehost.core.errors import InvalidTransitionError, NotFoundError
from rehost.core.job import Event, JobState, follow
from rehost.core.server import ServerState
from rehost.store.events import REMOVED, EventRecord
from rehost.store.jobs import JobFilter
from rehost.store.jobspec import JobSpec
from rehost.store.transition import Job


def create(call: Call, values: Values) -> dict[str, object]:
    token = token_of("CreateReplicationJob", values)
    if earlier := call.store.tokens.made(call.account, token):
        return {"JobId": earlier}  # whatever has become of it, its source and the times that it asked for
    server = servers.own(call, values.text("SourceId"))
    _check_instance_role(call, values.text("InstanceRamRole"))
    spec = job_spec(values, server.inventory, call.now)
    tags = tag_parameters.tags(values)
    job = call.store.jobs.create(call.account, spec, token, call.actor, call.services.job_quota, tags)
    return {"JobId": job.id}


def describe(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    want = JobFilter(
        job_ids=values.texts("JobId"),
        source_ids=values.texts("SourceId"),
        instance_ids=values.texts("InstanceId"),
        name=values.text("Name"),
        region=values.text("RegionId"),
        status=values.text("Status"),
        business_status=values.text("BusinessStatus"),
        resource_group_id=values.text("ResourceGroupId"),
        job_type=values.number("JobType"),
        tags=tag_parameters.tags(values),
    )
    found = call.store.jobs.find(call.account, want, page)
    ids = [job.id for job in found.items]
    runs, tags = call.store.runs.of_jobs(ids), call.store.tags.of(ids)
    images = call.store.images.names(run.image_id for made in runs.values() for run in made)
    groups = call.store.servers.workgroups_of([job.spec.source_id for job in found.items])
    jobs = [
        {**reply(job, runs[job.id], images, tags[job.id]), "WorkgroupId": groups.get(job.spec.source_id)}
        for job in found.items
    ]
    return {"ReplicationJobs": {"ReplicationJob": jobs}, **paging.reply(page, found.total)}


def modify(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    inventory = servers.own(call, job.spec.source_id).inventory
    _check_instance_role(call, values.text("InstanceRamRole"))

    def change(job: Job) -> JobSpec:
        job_changes.check_status(values, job)
        spec = changed_spec(values, job, inventory, call.now)
        job_changes.check_whole(spec)
        return spec

    if names := job_changes.given(values):
        call.store.jobs.modify(job.id, change, call.actor, ", ".join(names))
    return {}


def start(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    with _named(job):
        _check_source(call, job, Event.START)
        call.services.lifecycle.start(job.id, call.actor)
    return {}


def stop(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    with _named(job):
        call.services.lifecycle.stop(job.id, call.actor)
    return {}


def cut_over(call: Call, values: Values) -> dict[str, object]:
    job, sync = own(call, values.text("JobId")), bool(values.truth("SyncData"))
    with _named(job):
        _check_source(call, job, Event.CUT_OVER_SYNC if sync else Event.CUT_OVER)
        call.services.lifecycle.cut_over(job.id, call.actor, sync=sync)
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    with _named(job):
        call.services.lifecycle.delete(job.id, call.actor)
    return {}


def events(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    rows = job_events.rows(_happened(call, values.text("JobId")))
    return {"Events": {"Event": rows[page.offset : page.offset + page.size]}, **paging.reply(page, len(rows))}


def _happened(call: Call, job_id: str) -> tuple[EventRecord, ...]:
    """To a job of the caller's account, to one that is deleted too."""
    happened = call.store.events.of(job_id)
    if not any(event.what == REMOVED and event.account == call.account for event in happened):
        own(call, job_id)
    return happened


def own(call: Call, job_id: str) -> Job:
    """A job of the caller's account; other accounts' do not exist for them."""
    try:
        job = call.store.jobs.get(job_id)
    except NotFoundError:
        raise errors.not_found("JobId", job_id) from None
    if job.account != call.account:
        raise errors.not_found("JobId", job_id)
    return job


@contextmanager
def _named(job: Job) -> Iterator[None]:
    """The state machine knows no names: what it refuses is refused of this job."""
    try:
        yield
    except InvalidTransitionError as error:
        raise errors.documented(error.code, f"{job.id}: {error.what}.", error.advice) from None


def _check_source(call: Call, job: Job, event: Event) -> None:
    """What leads to a copy needs the source, but a job that does not take the event says so first."""
    if follow(job.state, event) is not JobState.PREPARING:
        return
    server = servers.own(call, job.spec.source_id)
    if server.state is not ServerState.AVAILABLE:
        raise errors.documented(
            "SourceServerState.Invalid",
            f"{server.id} is {server.state}, a job can copy it when it is {ServerState.AVAILABLE}.",
            "DescribeSourceServers says more of it in ErrorCode and StatusInfo.",
        )


def _check_instance_role(call: Call, name: str) -> None:
    roles = call.services.instance_roles()
    if name and roles is not None and name not in roles:
        raise errors.not_found("InstanceRamRole", name)


_JOB = (Resource("replicationJob", "JobId"),)
_JOB_ID = (Text("JobId", "The replication job.", required=True),)

ACTIONS = (
    Action(
        "CreateReplicationJob",
        "Create a replication job for a source server that is Available and has no unfinished one.",
        job_parameters.CREATE,
        create,
        (Field("JobId", Kind.STRING, "The new job."),),
        job_parameters.RULES,
        job_codes.CREATE,
        resources=(Resource("sourceServer", "SourceId"), Resource("replicationJob")),
        in_records=True,
    ),
    Action(
        "DescribeReplicationJobs",
        "List replication jobs; all conditions hold together, an empty one does not count.",
        (*job_parameters.DESCRIBE, *paging.PARAMETERS),
        describe,
        (Wrapped("ReplicationJobs", "ReplicationJob", FIELDS), *paging.REPLY),
        (tag_parameters.no_value_alone,),
        ("InvalidParameter.TagValue",),
        resources=(Resource("replicationJob"),),
    ),
    Action(
        "StartReplicationJob",
        "Start a job that is Ready, Stopped, Waiting or InError.",
        _JOB_ID,
        start,
        codes=job_codes.START,
        resources=_JOB,
    ),
    Action(
        "DeleteReplicationJob",
        "Delete a job that does not run; its images stay.",
        _JOB_ID,
        delete,
        codes=job_codes.OF_JOB,
        resources=_JOB,
    ),
    Action(
        "ModifyReplicationJobAttribute",
        "Change a job: most of it before it starts, name and description always. What is not given stays.",
        (*_JOB_ID, *job_changes.PARAMETERS),
        modify,
        rules=job_changes.RULES,
        codes=job_codes.MODIFY,
        resources=_JOB,
        in_records=True,
    ),
    Action(
        "StopReplicationJob",
        "Pause a job that copies; Start goes on without sending again what has arrived.",
        _JOB_ID,
        stop,
        codes=job_codes.OF_JOB,
        resources=_JOB,
    ),
    Action(
        "CutOverReplicationJob",
        "Finish a job that runs again and again and waits for its next run.",
        (*_JOB_ID, Truth("SyncData", "Run once more before; else it ends as it is.", default=False)),
        cut_over,
        codes=job_codes.START,
        resources=_JOB,
    ),
    Action(
        "DescribeReplicationJobEvents",
        "What happened to a job, the oldest first: its states, who asked for them, why and for how long. Of a"
        " deleted one too.",
        (*_JOB_ID, *paging.PARAMETERS),
        events,
        job_events.FIELDS,
        codes=("InvalidJobId.NotFound",),
        resources=_JOB,
        addition=True,
    ),
)
