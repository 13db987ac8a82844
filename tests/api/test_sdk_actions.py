"""Every SDK, in each way that it can speak, runs every action and turns every page."""

from collections.abc import Iterator

import pytest

from rehost.api.actions import ACTIONS
from rehost.core.job import Event
from rehost.store.tags import Tag, Taggable
from tests.api import sdks
from tests.api.sdks import SDKS, Answer, Endpoint, Sdk
from tests.api.world import Certificates, World, serving_on

pytestmark = [
    # The classic SDK's bundled urllib3 uses what the ssl module is about to drop.
    pytest.mark.filterwarnings(
        r"ignore:ssl\.(PROTOCOL_TLS|match_hostname\(\)) is deprecated:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:aliyunsdkcore"),
    pytest.mark.filterwarnings(
        r"ignore:implementation_of_do_action\(\) method is deprecated:DeprecationWarning"
    ),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all: what an SDK does in it has names of its own."""
    made = World.make(tmp_path_factory.mktemp("served"))
    yield made
    made.store.close()


# Over plain HTTP the tests of each SDK speak by themselves; all of it in that way, too, is the lab's.
@pytest.fixture(scope="module", params=[pytest.param("http", marks=pytest.mark.lab), "https"])
def endpoint(request: pytest.FixtureRequest, served: World, certificates: Certificates) -> Iterator[Endpoint]:
    tls = request.param == "https"
    files = (certificates.certificate, certificates.key) if tls else ()
    with serving_on(served.services, *files) as port:
        yield Endpoint(port, certificates.ca if tls else None)


class Caller:
    """Answers of one SDK, all of which have to be good ones, and which actions were called."""

    def __init__(self, sdk: Sdk, endpoint: Endpoint, world: World) -> None:
        self._sdk, self._endpoint, self._world = sdk, endpoint, world
        self.called: set[str] = set()

    def __call__(self, action: str, code: str = "", **wanted: object) -> Answer:
        answer = self._sdk(self._endpoint, self._world.key, action, **wanted)
        assert (answer.status == 200, answer.code) == (not code, code), (action, wanted)
        self.called.add(action)
        return answer

    def move(self, job: str, *events: Event) -> None:
        for event in events:
            self._world.store.jobs.apply(job, event, "test")


def _group(call: Caller, source: str, name: str) -> str:
    tags = [{"Key": "k", "Value": name}]
    token = call("CreateAccessToken", Name=name, Count="5", TimeToLiveInDays="7").first("AccessTokenId")
    assert call("ListAccessTokens", AccessTokenId=[token]).first("Count") == "5"
    call("ModifySourceServerAttribute", SourceId=source, Name=name, Description="迁移 of a server")
    call("TagResources", ResourceType="sourceserver", ResourceId=[source], Tag=tags)
    listed = call("ListTagResources", ResourceType="sourceserver", Tag=tags)
    assert listed.all("ResourceId") == [source]
    group = call("CreateWorkgroup", Name=name, Tag=tags, ClientToken=name).first("WorkgroupId")
    call("AssociateSourceServers", WorkgroupId=group, SourceId=[source])
    call("ModifyWorkgroupAttribute", WorkgroupId=group, Description="changed")
    assert call("DescribeWorkgroups", Tag=tags).first("SourceId") == source
    call("CreateCrossZoneMigrationJob", "UnsupportedOperation.CrossZoneMigration", InstanceId="i-1")
    call("DisableAccessToken", AccessTokenId=token)
    call("DeleteAccessToken", AccessTokenId=token)
    return group


def _migrate(call: Caller, source: str, name: str) -> None:
    job = call(
        "CreateReplicationJob", RegionId="cn-hangzhou", SourceId=source, Name=name, RunOnce=False,
        Frequency=12, MaxNumberOfImageToKeep=3, DataDisk=[{"Index": 1, "Size": 40}],
    ).first("JobId")  # fmt: skip
    call("ModifyReplicationJobAttribute", JobId=job, Frequency=6)
    shown = call("DescribeReplicationJobs", JobId=[job], Name=name)
    assert (shown.first("Frequency"), shown.first("RunOnce").lower()) == ("6", "false")
    call("StartReplicationJob", JobId=job)
    call.move(job, Event.PREPARED)
    call("StopReplicationJob", JobId=job)
    call.move(job, Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.WAIT)
    call("CutOverReplicationJob", JobId=job, SyncData=False)
    call.move(job, Event.CLEANED)
    assert call("DescribeReplicationJobs", JobId=[job]).first("Status") == "Finished"
    assert call("DescribeReplicationJobEvents", JobId=job).all("Event")[:2] == ["CREATE", "MODIFY"]
    call("DeleteReplicationJob", JobId=job)


def _tell(call: Caller) -> None:
    named = {"Event.1": "job.*", "Event.2": "InError"}  # SDKs know no lists of actions that they do not know
    made = call("CreateWebhook", Url="https://hooks.example.com/", **named)
    hook = made.first("WebhookId")
    assert made.first("Secret").startswith("whsec_")
    call("TestWebhook", WebhookId=hook)
    call("ModifyWebhookAttribute", WebhookId=hook, Enabled="false")
    assert call("DescribeWebhooks").all("Event") == ["job.*", "InError"]
    assert call("DescribeWebhookDeliveries", WebhookId=hook).first("TotalCount") == "0"
    call("DeleteWebhook", WebhookId=hook)


def _end(call: Caller, source: str, group: str) -> None:
    shown = call("DescribeSourceServers", SourceId=[source])
    assert (shown.first("State"), shown.first("WorkgroupId")) == ("Available", group)
    call("UntagResources", ResourceType="sourceserver", ResourceId=[source], TagKey=["k"])
    call("DisassociateSourceServers", WorkgroupId=group, SourceId=[source])
    call("DeleteWorkgroup", WorkgroupId=group)
    call("DeleteSourceServer", SourceId=source, Force=True)


@pytest.mark.parametrize("name", SDKS)
def test_every_sdk_runs_every_action(endpoint: Endpoint, served: World, name: str) -> None:
    call = Caller(SDKS[name], endpoint, served)
    own = f"{name}-{'https' if endpoint.ca else 'http'}"
    source = served.source(name=own).id
    group = _group(call, source, f"{own}_")
    _migrate(call, source, own)
    _tell(call)
    _end(call, source, group)
    assert call.called == set(ACTIONS)


def test_the_actions_are_those_of_the_sdks_and_rehosts_own() -> None:
    own = {name for name, action in ACTIONS.items() if action.addition}
    assert own == set(ACTIONS) - sdks.ACTIONS
    assert set(ACTIONS) >= sdks.ACTIONS


@pytest.fixture(scope="module")
def many(served: World) -> list[str]:
    """Twelve sources of one name, which have 120 tags together."""
    made = [served.source(name="one-of-many").id for _ in range(12)]
    tags = [Tag("many", "x"), *(Tag(f"k{number}", "v") for number in range(9))]
    served.store.tags.add(served.key.account, Taggable.SOURCE, made, tags)
    return made


@pytest.mark.parametrize("name", SDKS)
def test_every_sdk_turns_pages(endpoint: Endpoint, served: World, many: list[str], name: str) -> None:
    call = Caller(SDKS[name], endpoint, served)
    pages = [
        call("DescribeSourceServers", Name="one-of-many", PageSize=5, PageNumber=number)
        for number in (1, 2, 3, 4)
    ]
    assert [len(page.all("State")) for page in pages] == [5, 5, 2, 0]
    assert {page.first("TotalCount") for page in pages} == {"12"}
    found = [one for page in pages for one in page.all("SourceId")]
    assert sorted(found) == sorted(many)


@pytest.mark.parametrize("name", SDKS)
def test_every_sdk_follows_next_tokens(endpoint: Endpoint, served: World, many: list[str], name: str) -> None:
    call = Caller(SDKS[name], endpoint, served)
    of = {"ResourceType": "sourceserver", "Tag": [{"Key": "many"}]}
    first = call("ListTagResources", **of)
    rest = call("ListTagResources", NextToken=first.first("NextToken"), **of)
    assert (len(first.all("TagKey")), len(rest.all("TagKey")), rest.first("NextToken")) == (100, 20, "")
    assert set(first.all("ResourceId")) | set(rest.all("ResourceId")) == set(many)
