"""The tables. Times are Unix seconds, sizes bytes; JSON columns carry the type of what is in them.

Each listing has an index that ends in (created, id), the order of its pages: a page is read off it, and its
total is counted in it, without a look at the rows.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from rehost.core.agentapi import Assignment, Progress, Result
from rehost.core.clones import Bearers
from rehost.core.progress import Course
from rehost.core.server import Inventory
from rehost.store.columns import Json
from rehost.store.jobspec import DiskSpec

metadata = sa.MetaData()

# What only ever grows: PostgreSQL's Integer ends at 2^31, SQLite's numbers its rows in an Integer only.
Growing = sa.BigInteger().with_variant(Integer, "sqlite")


def _given(column: str) -> dict[str, Any]:
    """An index of the rows that have a text there."""
    where = sa.text(f"{column} <> ''")
    return {"sqlite_where": where, "postgresql_where": where}


accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created", Float, nullable=False),
)

# Users and roles of accounts.
principals = Table(
    "principals",
    metadata,
    Column("account", String, primary_key=True),
    Column("name", String, primary_key=True),  # user/NAME or role/NAME
    Column("created", Float, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("account", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created", Float, nullable=False),
)

# No foreign key to the policy: those of the system have no row.
attachments = Table(
    "attachments",
    metadata,
    Column("account", String, primary_key=True),
    Column("principal", String, primary_key=True),
    Column("policy", String, primary_key=True),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("principal", String, nullable=False, server_default=""),  # empty: the account itself
    Column("secret", LargeBinary, nullable=False),  # sealed with keys/secrets.key
    Column("status", String, nullable=False),
    Column("created", Float, nullable=False),
    # Of temporary keys only:
    Column("issuer", String, nullable=False, server_default="", index=True),  # the key that asked for it
    Column("expires", Float),
    Column("token_digest", String, nullable=False, server_default=""),  # SHA-256 of the security token, hex
    Column("session", String, nullable=False, server_default=""),  # its name
    Column("policy", Text, nullable=False, server_default=""),  # what narrows the session
)

audit = Table(
    "audit",
    metadata,
    Column("id", Growing, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("request_id", String, nullable=False, unique=True),
    Column("account", String, nullable=False, index=True),
    Column("principal", String, nullable=False),
    Column("key", String, nullable=False),
    Column("action", String, nullable=False),
    Column("resources", Json(tuple[str, ...]), nullable=False),
    Column("address", String, nullable=False),
    Column("code", String, nullable=False),  # OK, an error's code, or empty: the end is not known
    Column("seconds", Float),
)

nonces = Table(
    "nonces",
    metadata,
    Column("key", String, primary_key=True),
    Column("nonce", String, primary_key=True),
    Column("expires", Float, nullable=False, index=True),
)

activation_codes = Table(
    "activation_codes",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("digest", String, nullable=False, unique=True),  # SHA-256 of the code, hex
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("count", Growing, nullable=False),  # registrations it is good for
    Column("used", Growing, nullable=False),
    Column("expires", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("created", Float, nullable=False),
)

source_servers = Table(
    "source_servers",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("secret_hash", String, nullable=False, unique=True),  # SHA-256 of the agent's secret, hex
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("deleting", Boolean, nullable=False),
    Column("inventory", Json(Inventory), nullable=False),
    Column("system_info", Text, nullable=False),
    Column("agent_version", String, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("heartbeat_rate", Integer, nullable=False),  # seconds
    Column("error_code", String, nullable=False),
    Column("error_msg", Text, nullable=False),
    Column("assignment", Json(Assignment)),
    Column("assignment_version", Growing, nullable=False),
    Column("created", Float, nullable=False),
    Column("workgroup_id", String, nullable=False, server_default="", index=True),  # empty: in none
    Column("resource_group_id", String, nullable=False, server_default=""),
    Column("bearers", Json(Bearers)),  # who shows its identity
    Index("source_servers_newest", "account", "created", "id"),
    Index("source_servers_name", "account", "name", "created", "id"),
    Index("source_servers_version", "id", "assignment_version"),  # what long polls look for, without the rows
    Index("source_servers_heartbeat", "heartbeat"),
    Index("source_servers_error", "id", **_given("error_code")),
    Index("source_servers_deleting", "id", sqlite_where=sa.text("deleting = 1"),
          postgresql_where=sa.text("deleting")),
)  # fmt: skip

workgroups = Table(
    "workgroups",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("created", Float, nullable=False),
    Index("workgroups_name", "account", "name", unique=True),
)

# One table for all kinds of resources; a resource takes its rows along when it ends.
tags = Table(
    "tags",
    metadata,
    Column("resource", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("account", String, nullable=False),
    Column("kind", String, nullable=False),
    Index("tags_listed", "account", "kind", "resource", "key"),
    Index("tags_found", "account", "kind", "key", "value", "resource"),
)

# No foreign key to the source: a finished migration stays readable when its source server is gone.
jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("source_id", String, nullable=False, index=True),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("target_type", String, nullable=False),
    Column("scheduled_start", Float),
    Column("valid_until", Float),
    Column("image_name", String, nullable=False),
    Column("instance_id", String, nullable=False),
    Column("system_disk", Json(DiskSpec), nullable=False),
    Column("data_disks", Json(tuple[DiskSpec, ...]), nullable=False),
    Column("vpc_id", String, nullable=False),
    Column("vswitch_id", String, nullable=False),
    Column("replication_parameters", Text, nullable=False),
    Column("net_mode", Integer, nullable=False),
    Column("run_once", Boolean, nullable=False),
    Column("frequency", Integer),
    Column("max_images", Integer),
    Column("instance_type", String, nullable=False),
    Column("instance_ram_role", String, nullable=False),
    Column("container_namespace", String, nullable=False),
    Column("container_repository", String, nullable=False),
    Column("container_tag", String, nullable=False),
    Column("license_type", String, nullable=False),
    Column("launch_template_id", String, nullable=False),
    Column("launch_template_version", String, nullable=False),
    Column("resource_group_id", String, nullable=False),
    Column("job_type", Integer),
    Column("status", String, nullable=False),
    Column("business_status", String, nullable=False),
    Column("error_code", String, nullable=False),
    Column("status_info", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("image_id", String, nullable=False),
    Column("transition_instance_id", String, nullable=False),
    Column("current_run", String, nullable=False),
    Column("cut_over", Boolean, nullable=False, server_default=sa.false()),  # it waits no more
    Column("wanted", Float),  # when its start was asked for that waits for room
    Column("wanted_type", String),  # of the run that begins then
    Column("host", String, nullable=False, server_default=""),  # of its volumes; empty before its first start
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Index("jobs_name", "account", "name", unique=True, **_given("name")),
    Index("jobs_newest", "account", "created", "id"),
    Index("jobs_region", "account", "region", "created", "id"),
    Index("jobs_status", "account", "status", "created", "id"),
    Index("jobs_group", "account", "resource_group_id", "created", "id", **_given("resource_group_id")),
    Index("jobs_instance", "account", "instance_id", "created", "id", **_given("instance_id")),
    Index("jobs_state", "status", "business_status"),
    Index("jobs_due", "status", "scheduled_start"),
    Index(
        "jobs_wanted",
        "wanted",
        sqlite_where=sa.text("wanted IS NOT NULL"),
        postgresql_where=sa.text("wanted IS NOT NULL"),
    ),
)

# How many rows of a table an account has. Triggers keep it: a migration that makes such a table anew has to
# make them anew, too.
totals = Table(
    "totals",
    metadata,
    Column("account", String, primary_key=True),
    Column("kind", String, primary_key=True),  # the table's name
    Column("number", Growing, nullable=False),
)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("account", String, primary_key=True),
    Column("action", String, primary_key=True),
    Column("token", String, primary_key=True),
    Column("digest", String, nullable=False),  # SHA-256 over the request's parameters, hex
    Column("resource", String, nullable=False),  # the id of what the request made
    Column("created", Float, nullable=False, index=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("job", String, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # from 1, per job
    Column("generation", Integer, nullable=False),  # from 1, per job; each start of a run raises it
    Column("type", String, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("image_id", String, nullable=False),
    Column("progress", Json(Progress)),
    Column("inventory", Json(Inventory)),  # the source's, when the present generation was prepared
    Column("result", Json(Result)),  # of the present generation
    Column("error", Text, nullable=False),
    Column("course", Json(Course)),  # of the present generation
    Column("host", String, nullable=False, server_default=""),  # that carries the present generation out
    Column("conversion", Text, nullable=False, server_default=""),  # JSON: how the image was made
    Column("boot_check", Text, nullable=False, server_default=""),  # JSON: how it booted
    Index("runs_number", "job", "number", unique=True),
)

# Processes that have volumes and do the work on them, those that were ended too.
hosts = Table(
    "hosts",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("receiver_host", String, nullable=False),  # empty: the agent goes where it reaches the API
    Column("receiver_port", Integer, nullable=False),
    Column("free", Growing, nullable=False),  # bytes for replicas
    Column("version", String, nullable=False),
    Column("volumes", String, nullable=False),  # of storage that several hosts have; empty: its own
    Column("keys", String, nullable=False),  # a digest of the keys that all hosts have in common
    Column("generation", Integer, nullable=False),  # from 1; each start raises it
    Column("lease", Float),  # until when it counts as alive; NULL: no other host can be there
    Column("seen_since", Float),  # since when hosts renew theirs, this one or others before; NULL: as above
    Column("draining", Boolean, nullable=False),
)

images = Table(
    "images",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("job", String, nullable=False, index=True),
    Column("run", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("region", String, nullable=False),
    Column("description", String, nullable=False),
    Column("path", String, nullable=False),
    Column("disks", Json(tuple[str, ...]), nullable=False),
    Column("state", String, nullable=False),
    Column("created", Float, nullable=False),
    Index("images_name", "account", "region", "name", unique=True),
)

events = Table(
    "events",
    metadata,
    Column("id", Growing, primary_key=True, autoincrement=True),
    Column("subject", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("actor", String, nullable=False),
    Column("what", String, nullable=False),
    Column("state", String, nullable=False, server_default=""),  # of a job, from then on
    Column("detail", Text, nullable=False),
    Column("account", String, nullable=False, server_default=""),  # the resource's, as are name and run
    Column("name", String, nullable=False, server_default=""),
    Column("run", String, nullable=False, server_default=""),
    Index("events_account", "account", "id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Json(tuple[str, ...]), nullable=False),  # patterns; none: all
    Column("secret", LargeBinary, nullable=False),  # sealed with keys/secrets.key
    Column("enabled", Boolean, nullable=False),
    Column("reason", Text, nullable=False),  # why it is not
    Column("created", Float, nullable=False),
    Column("cursor", Growing, nullable=False),  # the last event that it was told of, or did not want
    Column("attempts", Integer, nullable=False),  # at the event after that, all in vain
    Column("failing_since", Float, nullable=False),  # of the first of them
    Column("due", Float, nullable=False),  # no attempt before
    Column("claimed", Float, nullable=False),  # until then it is some process's to deliver
    Index("webhooks_newest", "account", "created", "id"),
)

# The last attempts of each hook.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Growing, primary_key=True, autoincrement=True),
    Column("webhook", String, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("message", String, nullable=False),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),  # from 1
    Column("status", Integer),  # of HTTP
    Column("error", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Index("deliveries_newest", "webhook", "id"),
)
