"""The actions on replication jobs."""

from rehost.api import errors
from rehost.api.actions import job_parameters, paging, servers
from rehost.api.actions.job_reply import FIELDS, reply
from rehost.api.actions.job_request import job_spec
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Kind, Text, Wrapped
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.core.job import Event, follow
from rehost.core.server import ServerState
from rehost.store.jobs import JobFilter
from rehost.store.transition import Job


def create(call: Call, values: Values) -> dict[str, object]:
    server = servers.own(call, values.text("SourceId"))
    spec = job_spec(values, server.inventory, call.now)
    token = values.text("ClientToken") or None
    job = call.store.jobs.create(call.account, spec, token, call.actor, call.services.job_quota)
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
    )
    found = call.store.jobs.find(call.account, want, page)
    runs = call.store.runs.of_jobs([job.id for job in found.items])
    images = call.store.images.there(run.image_id for made in runs.values() for run in made)
    jobs = [reply(job, runs[job.id], images) for job in found.items]
    return {"ReplicationJobs": jobs, **paging.reply(page, found.total)}


def start(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    follow(job.state, Event.START)  # a job that cannot start says so before its source's state is looked at
    server = servers.own(call, job.spec.source_id)
    if server.state is not ServerState.AVAILABLE:
        raise errors.documented(
            "SourceServerState.Invalid",
            f"{server.id} is {server.state}, a job can start when it is {ServerState.AVAILABLE}.",
            "DescribeSourceServers says more of it in ErrorCode and StatusInfo.",
        )
    call.services.lifecycle.start(job.id, call.actor)
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    job = own(call, values.text("JobId"))
    call.services.lifecycle.delete(job.id, call.actor)
    return {}


def own(call: Call, job_id: str) -> Job:
    """A job of the caller's account; other accounts' do not exist for them."""
    try:
        job = call.store.jobs.get(job_id)
    except NotFoundError:
        raise errors.not_found("JobId", job_id) from None
    if job.account != call.account:
        raise errors.not_found("JobId", job_id)
    return job


_JOB_ID = (Text("JobId", "The replication job.", required=True),)

ACTIONS = (
    Action(
        "CreateReplicationJob",
        "Create a replication job for a source server that is Available and has no unfinished one.",
        job_parameters.CREATE,
        create,
        (Field("JobId", Kind.STRING, "The new job."),),
        job_parameters.RULES,
    ),
    Action(
        "DescribeReplicationJobs",
        "List replication jobs; all conditions hold together, an empty one does not count.",
        (*job_parameters.DESCRIBE, *paging.PARAMETERS),
        describe,
        (Wrapped("ReplicationJobs", "ReplicationJob", FIELDS), *paging.REPLY),
    ),
    Action("StartReplicationJob", "Start a job that is Ready, Stopped, Waiting or InError.", _JOB_ID, start),
    Action("DeleteReplicationJob", "Delete a job that does not run; its images stay.", _JOB_ID, delete),
)
