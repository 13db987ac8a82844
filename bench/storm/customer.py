"""Who wants copies of all sources, by the official SDK, as long as the storm lasts."""

import json
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alibabacloud_smc20190601 import models
from alibabacloud_smc20190601.client import Client
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions

_LOOK = 1.0  # seconds between two looks at the jobs
_RUNS = 3  # of a job that runs again, before it is cut over
_KEPT = 2  # images of it
_LIMIT = {"bandwidth_limit": 3000, "compress_level": 1}  # KB/s: so that there is time to strike
_PLACE = {"region_id": "local", "replication_parameters": json.dumps(_LIMIT)}


@dataclass(slots=True)
class _Order:
    """What is wanted of one source: one job after the other."""

    source: str
    again: bool  # its jobs run more than once
    job: str = ""  # empty: the next one is to be made
    token: str = field(default_factory=lambda: str(uuid.uuid4()))  # of the call that makes it
    runs: int = 0

    def next(self) -> None:
        self.job, self.token, self.runs = "", str(uuid.uuid4()), 0


class Customer(threading.Thread):
    """Calls that fail are made again with the next look, as scripts do."""

    def __init__(self, key_file: Path, endpoint: str, sources: Iterable[str]) -> None:
        super().__init__(name="customer", daemon=True)
        key = json.loads(key_file.read_text())
        self._client = Client(
            Config(
                access_key_id=key["AccessKeyId"],
                access_key_secret=key["AccessKeySecret"],
                endpoint=endpoint.removeprefix("https://"),
                protocol="https",
            )
        )
        self._options = RuntimeOptions(ca=key["CaFile"], connect_timeout=5000, read_timeout=10_000)
        self._orders = [_Order(source, bool(number % 2)) for number, source in enumerate(sources)]
        self._stopping, self._closing = threading.Event(), threading.Event()
        self.calls = 0
        self.failures: list[str] = []  # what calls said that were not answered

    def close_orders(self) -> None:
        """What was begun is to be finished; nothing new is wanted."""
        self._closing.set()

    @property
    def satisfied(self) -> bool:
        return not any(order.job for order in self._orders)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(_LOOK):
            states = self._states()
            for order in self._orders:
                if not order.job and not self._closing.is_set():
                    self._create(order)
                elif order.job in states:
                    self._go_on(order, states[order.job])

    def _create(self, order: _Order) -> None:
        wishes: dict[str, Any] = _PLACE | {"source_id": order.source, "client_token": order.token}
        if order.again:
            wishes |= {"run_once": False, "frequency": 24, "max_number_of_image_to_keep": _KEPT}
        reply = self._call("create_replication_job", models.CreateReplicationJobRequest(**wishes))
        if reply is not None:
            order.job = str(reply["JobId"])

    def _go_on(self, order: _Order, status: str) -> None:
        last = self._closing.is_set() or order.runs >= _RUNS
        match status:
            case "Finished":
                order.next()
            case "Waiting" if last:
                request = models.CutOverReplicationJobRequest(job_id=order.job, sync_data=False)
                self._call("cut_over_replication_job", request)
            case "Waiting" | "Ready" | "InError" | "Stopped":
                reply = self._call(
                    "start_replication_job", models.StartReplicationJobRequest(job_id=order.job)
                )
                order.runs += reply is not None and status != "InError"

    def _states(self) -> dict[str, str]:
        ids = [order.job for order in self._orders if order.job]
        if not ids:
            return {}
        request = models.DescribeReplicationJobsRequest(job_id=ids, page_size=50)
        reply = self._call("describe_replication_jobs", request)
        found = [] if reply is None else reply["ReplicationJobs"]["ReplicationJob"]
        return {str(job["JobId"]): str(job["Status"]) for job in found}

    def _call(self, name: str, request: object) -> dict[str, Any] | None:
        self.calls += 1
        try:
            reply = getattr(self._client, f"{name}_with_options")(request, self._options)
        except Exception as error:  # noqa: BLE001 - the SDK passes on whatever its HTTP client raises
            self.failures.append(f"{name}: {type(error).__name__} {str(error)[:300]}")
            return None
        return dict(reply.body.to_map())
