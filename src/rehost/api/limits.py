"""How much an account may have and ask for; the owner of a control plane changes it in a file."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import msgspec

from rehost.core.errors import InvalidValueError
from rehost.core.room import RunningJobs
from rehost.core.throttle import Rate
from rehost.store.audit import KEPT_DAYS
from rehost.store.codes import QUOTA as CODES
from rehost.store.jobs import QUOTA
from rehost.store.webhooks import QUOTA as WEBHOOKS
from rehost.store.workgroups import QUOTA as WORKGROUPS

FILE = "limits.json"  # in the data folder


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates are kept by each process of the control plane for itself.

    The ones given here only stop a client that is out of control: they are above what one process answers
    when it does nothing else.
    """

    per_key: Rate = Rate(3000, 6000)  # requests of one access key, with the temporary keys that it made
    per_action: Rate = Rate(2500, 5000)  # of one access key for one action
    actions: dict[str, Rate] = {}  # the same for single actions, by name
    replication_jobs: Annotated[int, msgspec.Meta(ge=0)] = QUOTA  # of an account
    access_tokens: Annotated[int, msgspec.Meta(ge=0, le=CODES)] = CODES  # a listing has room for no more
    workgroups: Annotated[int, msgspec.Meta(ge=0)] = WORKGROUPS  # of an account
    running_jobs: RunningJobs = RunningJobs()  # over all processes of the control plane
    worker_bandwidth: Annotated[int, msgspec.Meta(ge=0)] = 0  # KB/s that a worker's runs share; 0: no limit
    webhooks: Annotated[int, msgspec.Meta(ge=0)] = WEBHOOKS  # of an account
    local_webhooks: bool = False  # they may lead to this host itself, and to link-local addresses
    audit_days: Annotated[float, msgspec.Meta(gt=0)] = KEPT_DAYS  # that an entry of the audit trail is kept


def load(path: Path, actions: Collection[str]) -> Limits:
    """What the file says, and the defaults if there is none; InvalidValueError names what is wrong in it.

    `actions`: the names of all that there are.
    """
    try:
        limits = msgspec.json.decode(path.read_bytes(), type=Limits)
    except FileNotFoundError:
        return Limits()
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidValueError(f"{path} cannot be used: {error}", "see docs/identity.md") from None
    if unknown := limits.actions.keys() - set(actions):
        raise InvalidValueError(
            f"{path} limits {', '.join(sorted(unknown))}", f"the actions are {', '.join(actions)}"
        )
    return limits
