"""One migration told by calls of every action, on the real application: the examples of docs/api/.

The clock stands still between calls, and ids are numbered as they appear: the same pages come out every time.
`make docs` (python -m tests.api.story) writes them.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from rehost.api import reference
from rehost.api.gateway import STS_VERSION
from rehost.api.reference import Example
from rehost.core.agentapi import Register
from rehost.core.delivery import Answer
from rehost.core.job import Event
from rehost.store.principals import PrincipalKind
from tests.api.signed import call
from tests.api.world import ACCOUNT, INVENTORY, Clock, World

PAGES = Path(__file__).parents[2] / "docs" / "api"
BEGIN = 1_790_000_000.0
REQUEST_ID = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"

_ID = re.compile(r"\b(s|j|m|i|r|at|w|wh)-[0-9a-z]{20}\b")
_KEY = re.compile(r"\bLTAI[0-9A-Za-z]{20}\b")
_SECRETS = ("AccessTokenCode", "AccessKeyId", "AccessKeySecret", "Secret", "SecurityToken", "MessageId")


class StandingClock(Clock):
    """Moves when the story goes on, and then by a second."""

    def __call__(self) -> float:
        return BEGIN + self.ahead


class Story:
    def __init__(self, world: World) -> None:
        self.world = world
        self.examples: dict[str, Example] = {}
        self._ids: dict[str, str] = {}

    def __call__(self, action: str, **parameters: str) -> dict[str, Any]:
        """The reply; the first one of each action becomes its example."""
        self.world.clock.ahead += 1
        reply = call(self.world, action, **parameters)[1]
        request = {name.replace("__", "."): self._plain(value) for name, value in parameters.items()}
        self.examples.setdefault(action, Example(request, self._plain(reply)))
        return reply

    def move(self, job: str, *events: Event) -> None:
        for event in events:
            self.world.clock.ahead += 1
            self.world.store.jobs.apply(job, event, "rehost")

    def _plain(self, value: Any, name: str = "") -> Any:
        """Without what is another one each time."""
        if isinstance(value, dict):
            return {key: self._plain(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        if name == "RequestId":
            return REQUEST_ID
        if name in _SECRETS:
            return "x" * len(value)
        if not isinstance(value, str):
            return value
        return _KEY.sub("LTAIexample", _ID.sub(self._numbered, value))

    def _numbered(self, match: re.Match[str]) -> str:
        number = len(self._ids) + 1
        return self._ids.setdefault(match[0], f"{match[1]}-example{number:013}")


def tell(folder: Path) -> dict[str, Example]:
    """An example of each action that there is."""
    world = World.make(folder, clock=StandingClock())
    story = Story(world)
    try:
        source = _begin(story)
        job = _migrate(story, source)
        _look(story)
        _finish(story, source, job)
        _assume(story)
        _tell(story)
    finally:
        world.store.close()
    return story.examples


def _begin(story: Story) -> str:
    """A source server that is registered, named, tagged, and in a workgroup."""
    token = story("CreateAccessToken", Name="web-servers", Count="10", TimeToLiveInDays="7")
    server = story.world.store.servers.register(
        Register(token["AccessTokenCode"], "a" * 64, INVENTORY, "0.1.0")
    )
    source = server.id
    story("ListAccessTokens")
    story("ModifySourceServerAttribute", SourceId=source, Name="web-1", Description="The first web server.")
    story(
        "TagResources",
        ResourceType="sourceserver",
        ResourceId__1=source,
        Tag__1__Key="team",
        Tag__1__Value="web",
    )
    story("ListTagResources", ResourceType="sourceserver", Tag__1__Key="team")
    group = story("CreateWorkgroup", Name="shop", Description="Servers of the shop.")["WorkgroupId"]
    story("AssociateSourceServers", WorkgroupId=group, SourceId__1=source)
    return source


def _migrate(story: Story, source: str) -> str:
    """A job that runs again and again, between two runs."""
    job = story(
        "CreateReplicationJob", RegionId="local", SourceId=source, Name="move-web-1", SystemDiskSize="40",
        ImageName="web-1", RunOnce="false", Frequency="12", MaxNumberOfImageToKeep="3",
        Tag__1__Key="team", Tag__1__Value="web",
    )["JobId"]  # fmt: skip
    story("ModifyReplicationJobAttribute", JobId=job, Description="Moves the first web server.")
    story("StartReplicationJob", JobId=job)
    story.move(job, Event.PREPARED)
    return str(job)


def _look(story: Story) -> None:
    story("DescribeSourceServers", State="InUse")
    story("DescribeReplicationJobs", Status="Running")
    story("DescribeWorkgroups", Name="shop")


def _finish(story: Story, source: str, job: str) -> None:
    group = story("DescribeWorkgroups")["Workgroups"]["Workgroup"][0]["WorkgroupId"]
    token = story("ListAccessTokens")["AccessTokens"]["AccessToken"][0]["AccessTokenId"]
    story("StopReplicationJob", JobId=job)
    story.move(job, Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.WAIT)
    story("CutOverReplicationJob", JobId=job, SyncData="false")
    story.move(job, Event.CLEANED)
    story("DescribeReplicationJobEvents", JobId=job)
    story("DeleteReplicationJob", JobId=job)
    story("CreateCrossZoneMigrationJob", InstanceId="i-1", TargetZoneId="zone-b")
    story("UntagResources", ResourceType="sourceserver", ResourceId__1=source, TagKey__1="team")
    story("DisassociateSourceServers", WorkgroupId=group, SourceId__1=source)
    story("ModifyWorkgroupAttribute", WorkgroupId=group, Description="Done.")
    story("DeleteWorkgroup", WorkgroupId=group)
    for action in ("DisableAccessToken", "DeleteAccessToken"):
        story(action, AccessTokenId=token)
    story("DeleteSourceServer", SourceId=source, Force="true")


def _assume(story: Story) -> None:
    """The Security Token Service."""
    story.world.store.principals.create(ACCOUNT, PrincipalKind.ROLE, "reader")
    of = {"Version": STS_VERSION}
    story("AssumeRole", **of, RoleArn=f"acs:ram::{ACCOUNT}:role/reader", RoleSessionName="nightly-report")
    story("GetCallerIdentity", **of)


def _tell(story: Story) -> None:
    """A receiver that is away at first."""
    hook = story(
        "CreateWebhook", Url="https://hooks.example.com/rehost", Event__1="InError", Event__2="job.cleaned"
    )["WebhookId"]
    story("TestWebhook", WebhookId=hook)
    pending = story.world.store.deliveries.next(hook)
    claim = story.world.store.deliveries.claim(pending) if pending else None
    if pending and claim:
        answer = Answer(503, "the receiver answered 503", 0.042)
        story.world.store.deliveries.record(pending, claim, answer, 0.5)
    story("DescribeWebhookDeliveries", WebhookId=hook)
    story("DescribeWebhooks")
    story("ModifyWebhookAttribute", WebhookId=hook, Enabled="false")
    story("DeleteWebhook", WebhookId=hook)


def write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = reference.pages(tell(Path(folder)))
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text)


if __name__ == "__main__":
    write()
