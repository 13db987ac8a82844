"""The migration as a customer of the API steers it: by the official SDK, unmodified."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_smc20190601 import models
from alibabacloud_smc20190601.client import Client
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions

from rehost.cli import jobview
from rehost.core.errors import RehostError, ReportedError

REGION = "local"
REGISTER_DEADLINE = 60.0
LOOK = 1.0

Job = Mapping[str, Any]


class Migration:
    """Calls of the SDK with the first access key."""

    def __init__(self, first_access_key: Path) -> None:
        key = json.loads(first_access_key.read_text())
        place = urlsplit(key["Endpoint"])
        config = Config(
            access_key_id=key["AccessKeyId"],
            access_key_secret=key["AccessKeySecret"],
            endpoint=place.netloc,
            protocol=place.scheme,
        )
        self._client = Client(config)
        self._runtime = RuntimeOptions(ca=key["CaFile"])

    def wait_for_source(self) -> str:
        """The id of the source server, once it is registered and available."""
        deadline = time.monotonic() + REGISTER_DEADLINE
        while time.monotonic() < deadline:
            reply = self._client.describe_source_servers_with_options(
                models.DescribeSourceServersRequest(state="Available"), self._runtime
            )
            servers = reply.body.to_map()["SourceServers"]["SourceServer"]
            if servers:
                return str(servers[0]["SourceId"])
            time.sleep(LOOK)
        raise RehostError(
            f"no source server is available after {REGISTER_DEADLINE:.0f} s", "see the agent's log"
        )

    def create_job(self, source: str, replication: Mapping[str, object]) -> str:
        """`replication`: the keys of ReplicationParameters."""
        reply = self._client.create_replication_job_with_options(
            models.CreateReplicationJobRequest(
                region_id=REGION,
                source_id=source,
                name="demo",
                image_name="shop",
                replication_parameters=json.dumps(replication),
            ),
            self._runtime,
        )
        return str(reply.body.to_map()["JobId"])

    def start_job(self, job: str) -> None:
        self._client.start_replication_job_with_options(
            models.StartReplicationJobRequest(job_id=job), self._runtime
        )

    def watch(self, job: str, show: Callable[[Job], None]) -> Job:
        """Until the job has ended; ReportedError with its own words when it failed."""
        while True:
            now = self.describe(job)
            show(now)
            if jobview.is_over(now):
                break
            time.sleep(LOOK)
        if now["Status"] != "Finished":
            info = jobview.status_info(now)
            raise ReportedError(
                now.get("ErrorCode", ""), f"the job ended as {now['Status']}: {info.get('error_msg', '')}",
                info.get("advice", ""),
            )  # fmt: skip
        return now

    def describe(self, job: str) -> Job:
        reply = self._client.describe_replication_jobs_with_options(
            models.DescribeReplicationJobsRequest(job_id=[job]), self._runtime
        )
        return dict(reply.body.to_map()["ReplicationJobs"]["ReplicationJob"][0])
