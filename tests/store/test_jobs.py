import threading

import pytest

from rehost.core.agentapi import ErrorReport, Result
from rehost.core.errors import (
    DuplicateNameError,
    IdempotencyError,
    InvalidTransitionError,
    NotFoundError,
    QuotaExceededError,
    SourceServerStateError,
)
from rehost.core.job import TRANSITIONS, Event, JobState, follow
from rehost.core.progress import Stage
from rehost.store.images import ImageState
from rehost.store.jobs import JobFilter
from rehost.store.jobspec import DiskSpec, JobSpec, PartSpec
from rehost.store.paging import Page
from rehost.store.runs import RunType
from rehost.store.store import Store
from rehost.store.tokens import KEPT, Token
from tests.jobpaths import path_to
from tests.store.copying import syncing, told


def _full(source_id: str) -> JobSpec:
    """A value for each parameter that is not its default, so that none can get lost."""
    return JobSpec(
        source_id=source_id, region="cn-hangzhou", name="job", description="of mine", target_type="Instance",
        scheduled_start=1.5, valid_until=2.5, image_name="image", instance_id="i-1",
        system_disk=DiskSpec(0, 40, (PartSpec("0_0", 1 << 30, False, "/"),), "/dev/sda", True),
        data_disks=(DiskSpec(1, 20, (PartSpec("1_0", 5, True),)), DiskSpec(2)),
        vpc_id="vpc", vswitch_id="vsw",
        replication_parameters='{"bandwidth_limit":0}', net_mode=2, run_once=False, frequency=12,
        max_images=3, instance_type="ecs.c6.large", instance_ram_role="role", container_namespace="ns",
        container_repository="repo", container_tag="tag", license_type="BYOL", launch_template_id="lt",
        launch_template_version="2", resource_group_id="rg", job_type=1,
    )  # fmt: skip


def test_every_parameter_comes_back(store: Store, register) -> None:
    spec = _full(register().id)
    job = store.jobs.create("one", spec, Token("A", "t", "d"), "k")
    assert job.spec == spec
    assert store.jobs.get(job.id) == job
    assert (job.state, job.progress) == (JobState.READY, 0.0)
    assert job.id.startswith("j-")


def test_a_token_makes_one_job(store: Store, register, clock) -> None:
    source, token = register().id, Token("Create", "t", "parameters")
    first = store.jobs.create("one", JobSpec(source), token, "k")
    assert store.jobs.create("one", JobSpec(source), token, "k") == first
    assert store.tokens.made("one", token) == first.id
    assert store.tokens.made("one", Token("Other", "t", "parameters")) == ""
    assert store.tokens.made("two", token) == ""
    with pytest.raises(IdempotencyError, match=first.id):
        store.jobs.create("one", JobSpec(source), Token("Create", "t", "others"), "k")


def test_old_tokens_go_when_new_ones_come(store: Store, register, clock) -> None:
    store.jobs.create("one", JobSpec(register("a").id), Token("Create", "old", ""), "k")
    clock.time += KEPT + 1
    store.jobs.create("one", JobSpec(register("b").id), Token("Create", "new", ""), "k")
    assert store.tokens.made("one", Token("Create", "old", "")) == ""
    assert store.tokens.made("one", Token("Create", "new", "")) != ""


def test_the_same_token_at_the_same_time_makes_one_job(store: Store, register) -> None:
    source, made = register().id, []

    def create() -> None:
        made.append(store.jobs.create("one", JobSpec(source), Token("Create", "t", ""), "k").id)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_names_are_unique_per_account_and_empty_ones_are_none(store: Store, register) -> None:
    first, second, third, other = (register(letter).id for letter in "abcd")
    theirs = register("e", account="two").id
    store.jobs.create("one", JobSpec(first, name="x"), None, "k")
    with pytest.raises(DuplicateNameError):
        store.jobs.create("one", JobSpec(second, name="x"), None, "k")
    store.jobs.create("two", JobSpec(theirs, name="x"), None, "k")
    store.jobs.create("one", JobSpec(third), None, "k")
    store.jobs.create("one", JobSpec(other), None, "k")


def test_the_quota_counts_the_accounts_jobs(store: Store, register) -> None:
    store.jobs.create("one", JobSpec(register("a").id), None, "k", quota=1)
    with pytest.raises(QuotaExceededError):
        store.jobs.create("one", JobSpec(register("b").id), None, "k", quota=1)
    store.jobs.create("two", JobSpec(register("c", account="two").id), None, "k", quota=1)


def test_a_source_has_one_unfinished_job_and_is_available(store: Store, register, clock) -> None:
    source = register().id
    store.jobs.create("one", JobSpec(source), None, "k")
    with pytest.raises(SourceServerStateError, match="unfinished"):
        store.jobs.create("one", JobSpec(source), None, "k")
    other = register("b").id
    clock.time += 1000
    with pytest.raises(SourceServerStateError, match="Unavailable"):
        store.jobs.create("one", JobSpec(other), None, "k")
    with pytest.raises(NotFoundError):
        store.jobs.create("two", JobSpec(other), None, "k")


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", JobState)
def test_apply_is_the_transition_table(store: Store, register, state: JobState, event: Event) -> None:
    job = store.jobs.create("one", JobSpec(register().id), None, "k")
    for step in path_to(state):
        store.jobs.apply(job.id, step, "k")
    before = store.jobs.get(job.id)
    if (state, event) in TRANSITIONS:
        assert store.jobs.apply(job.id, event, "k", "why", progress=7.0).state is follow(state, event)
        last = store.events.of(job.id)[-1]
        assert (last.actor, last.what, last.detail) == ("k", event.name, "why")
        assert last.state == follow(state, event).text
    else:
        with pytest.raises(InvalidTransitionError):
            store.jobs.apply(job.id, event, "k", progress=7.0)
        assert store.jobs.get(job.id) == before


def test_filters_hold_together(store: Store, register, clock) -> None:
    sources = [register(letter).id for letter in "abc"]
    ids = []
    for number, source in enumerate(sources):
        spec = JobSpec(source, name=f"n{number}", region="cn" if number else "de", job_type=number)
        ids.append(store.jobs.create("one", spec, None, "k").id)
        clock.time += 1
    store.runs.begin(ids[2], Event.START, RunType.MANUAL, "k")

    def find(page: Page = Page(), **conditions) -> tuple[list[int], int]:  # noqa: B008
        listing = store.jobs.find("one", JobFilter(**conditions), page)
        return [ids.index(job.id) for job in listing.items], listing.total

    assert find() == ([2, 1, 0], 3)
    assert find(Page(1, 2)) == ([2, 1], 3)
    assert find(Page(2, 2)) == ([0], 3)
    assert find(job_ids=ids[:2]) == ([1, 0], 2)
    assert find(source_ids=sources[1:]) == ([2, 1], 2)
    assert find(name="n1") == ([1], 1)
    assert find(region="cn") == ([2, 1], 2)
    assert find(status="Running") == ([2], 1)
    assert find(status="Ready", region="cn") == ([1], 1)
    assert find(business_status="Preparing") == ([2], 1)
    assert find(job_type=0) == ([0], 1)
    assert find(instance_ids=["i-none"]) == ([], 0)
    assert store.jobs.find("two", JobFilter(), Page()).total == 0
    assert [job.id for job in store.jobs.in_states(JobState.PREPARING, JobState.SYNCING)] == [ids[2]]


def test_late_words_of_an_agent_change_nothing(store: Store, register) -> None:
    source, stranger = register("a").id, register("b").id
    job, run = syncing(store, source)
    error = Result(run, 1, error=ErrorReport("X", "what", "advice"))
    assert stranger not in store.copies.record({stranger: told(run, 10)})
    assert not store.runs.record_result(stranger, error)
    store.jobs.apply(job, Event.FAIL, "rehost")
    assert source not in store.copies.record({source: told(run, 10)})
    again = store.runs.begin(job, Event.START, RunType.MANUAL, "k")
    assert (again.id, again.generation, again.number) == (run, 2, 1)
    assert not store.runs.record_result(source, error)
    assert store.runs.get(run).result is None


def test_the_first_result_of_a_generation_counts(store: Store, register) -> None:
    source = register().id
    _, run = syncing(store, source)
    first = Result(run, 1, error=ErrorReport("X", "what", "advice"))
    assert store.runs.record_result(source, first)
    assert store.runs.record_result(source, Result(run, 1, error=ErrorReport("Y", "", "")))
    assert store.runs.get(run).result == first


def test_after_a_run_that_ended_comes_another_one(store: Store, register) -> None:
    job, run = syncing(store, register().id)
    for event in (Event.SYNCED, Event.PROCESSED):
        store.jobs.apply(job, event, "rehost")
    store.runs.end(run, Event.WAIT, "rehost")
    waiting = store.jobs.get(job)
    assert (waiting.state, waiting.progress, waiting.ended is None) == (JobState.WAITING, 100.0, False)
    second = store.runs.begin(job, Event.START, RunType.SCHEDULE, "rehost")
    assert (second.number, second.generation, second.type) == (2, 2, RunType.SCHEDULE)
    assert [r.number for r in store.runs.of_jobs([job])[job]] == [1, 2]


def test_of_the_runs_under_way_some_can_be_asked_for(store: Store, register) -> None:
    runs = [syncing(store, register(letter).id)[1] for letter in "abc"]
    assert {run.id for run in store.runs.under_way("")} == set(runs)
    assert {run.id for run in store.runs.under_way("", runs[1:])} == set(runs[1:])
    assert store.runs.under_way("", ()) == store.runs.under_way("another host", runs) == ()


def test_a_job_that_is_reported_on_from_the_past_stays(store: Store, register) -> None:
    job, run = syncing(store, register().id)
    store.jobs.report(job, run, JobState.SYNCING, "now")
    store.jobs.report(job, run, JobState.PREPARING, "late")
    assert store.jobs.get(job).status_info == "now"


def test_progress_moves_with_the_clock_and_learns_from_earlier_runs(store: Store, register, clock) -> None:
    """The second run takes what the first one took: half of its time is half of its per cent."""
    seen = []
    for letter in "ab":
        job, run = syncing(store, register(letter).id)
        seen.append([store.jobs.get(job).progress])
        for stage, event in (
            (Stage.COPYING, Event.SYNCED), (Stage.BUILDING, None), (Stage.CHECKING, Event.PROCESSED),
        ):  # fmt: skip
            store.runs.enter(run, stage)
            clock.time += 100
            store.runs.pass_time([run])
            seen[-1].append(store.jobs.get(job).progress)
            if event:
                store.jobs.apply(job, event, "rehost")
        store.runs.enter(run, Stage.CLEANING)
        clock.time += 100
        store.runs.pass_time([run])
        seen[-1].append(store.jobs.get(job).progress)
        store.runs.end(run, Event.CLEANED, "rehost")
        assert store.jobs.get(job).progress == 100.0
    assert all(progress == sorted(progress) for progress in seen)
    assert seen[1][2:] == pytest.approx([45, 70, 95], abs=0.1)


def test_a_deleted_job_takes_its_runs_along_and_leaves_its_events(store: Store, register) -> None:
    job, run = syncing(store, register().id)
    store.jobs.remove(job)
    assert store.jobs.get(job).state is JobState.SYNCING
    store.jobs.apply(job, Event.FAIL, "rehost")
    store.jobs.apply(job, Event.DELETE, "k")
    store.jobs.remove(job)
    for look in (lambda: store.jobs.get(job), lambda: store.runs.get(run)):
        with pytest.raises(NotFoundError):
            look()
    assert [event.what for event in store.events.of(job)][-2:] == ["DELETE", "REMOVE"]


def test_a_taken_image_name_gets_the_jobs_id(store: Store, register) -> None:
    jobs = [
        store.jobs.create("one", JobSpec(register(letter).id, image_name="golden"), None, "k")
        for letter in "ab"
    ]
    first = store.images.reserve(jobs[0], "r-1")
    assert store.images.reserve(jobs[0], "r-1") == first
    second = store.images.reserve(jobs[1], "r-2")
    third = store.images.reserve(jobs[1], "r-3")
    assert first.name == "golden"
    assert second.name == f"golden_{jobs[1].id}"
    assert third.name == f"golden_{jobs[1].id}_1"
    store.images.finish(first.id, "/there", ("disk-0.qcow2",))
    assert store.images.get(first.id).state is ImageState.AVAILABLE
    assert [image.id for image in store.images.of_job(jobs[1].id)] == [second.id, third.id]
    store.images.remove(second.id)
    there = {first.id: first.name, third.id: third.name}
    assert store.images.names([first.id, second.id, third.id]) == there


@pytest.mark.parametrize(
    ("name", "names"), [("web", ["web", "web_2", "web_3"]), ("", ["{id}", "{id}_2", "{id}_3"])]
)
def test_images_without_a_name_are_called_by_job_and_run(
    store: Store, register, name: str, names: list[str]
) -> None:
    spec = JobSpec(register().id, name=name, run_once=False, frequency=1, max_images=3)
    job = store.jobs.create("one", spec, None, "k")
    assert image_names(store, job.id, 3) == [text.format(id=job.id) for text in names]


def test_names_of_images_are_unique_and_have_at_most_128_characters(store: Store, register) -> None:
    specs = [JobSpec(register(letter).id, name=letter * 128, run_once=False, frequency=1) for letter in "ab"]
    jobs = [store.jobs.create("one", spec, None, "k").id for spec in specs]
    taken = JobSpec(register("c").id, name="c", image_name="b" * 126 + "_2")
    store.images.reserve(store.jobs.create("one", taken, None, "k"), "r-1")
    names = [name for job in jobs for name in image_names(store, job, 3)]
    assert len(set(names)) == 6
    assert max(map(len, names)) == 128
    assert names[4] == f"{'b' * (128 - len(jobs[1]) - 3)}_{jobs[1]}_2"


def image_names(store: Store, job: str, count: int) -> list[str]:
    """Of so many runs that end well."""
    names = []
    for _ in range(count):
        run = store.runs.begin(job, Event.START, RunType.SCHEDULE, "rehost")
        names.append(store.images.reserve(store.jobs.get(job), run.id).name)
        store.jobs.apply(job, Event.PREPARED, "rehost")
        store.jobs.apply(job, Event.SYNCED, "rehost")
        store.jobs.apply(job, Event.PROCESSED, "rehost")
        store.runs.end(run.id, Event.WAIT, "rehost")
    return names
