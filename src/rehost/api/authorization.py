"""What a caller may do: the resources that an action asks leave for, against the policies of the caller."""

from collections.abc import Iterator

from rehost.api import errors
from rehost.api.errors import ApiError
from rehost.api.spec import Action, Resource
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.core.ram.arn import Arn
from rehost.core.ram.condition import Context
from rehost.core.ram.document import parse
from rehost.core.ram.policy import Asked, Verdict, decide
from rehost.store.keys import AccessKey
from rehost.store.store import Store

ALL = "*"
SESSION = "the session's policy"
_JOB = "replicationJob"


def resources(action: Action, service: str, values: Values, account: str, region: str) -> tuple[Arn, ...]:
    """`region`: what the request says, empty: nothing."""
    return tuple(
        arn for resource in action.resources for arn in _named(resource, service, values, account, region)
    )


def check(store: Store, key: AccessKey, action: str, needed: tuple[Arn, ...], context: Context) -> None:
    """ApiError unless the key's owner may do the action on each of the resources.

    The account itself may do everything; a user or a role what its policies allow; and a session no more than
    its own policy allows, too.
    """
    attached = store.policies.of(key.account, key.principal) if key.principal else None
    narrowing = (parse(SESSION, key.policy),) if key.policy else None
    for policies in (attached, narrowing):
        if policies is None:
            continue
        for arn in needed:
            verdict = decide(policies, Asked(action, _with_own_region(store, arn), context))
            if not verdict.allowed:
                raise _refused(key, action, arn, verdict, policies is narrowing)


def _named(resource: Resource, service: str, values: Values, account: str, region: str) -> Iterator[Arn]:
    if resource.when is not None:
        parameter, value = resource.when
        if values.text(parameter) != value:
            return
    given = values.listed(resource.parameter)
    if not resource.kind:
        yield from map(_parsed, given)
        return
    for name in given or (ALL,):
        yield Arn(service, region or None, account, f"{resource.kind}/{name}")


def _parsed(text: str) -> Arn:
    parts = [*text.split(":", 4), "", "", "", "", ""]
    return Arn(parts[1], parts[2], parts[3], parts[4])


def _with_own_region(store: Store, arn: Arn) -> Arn:
    """A job is in the region that it was created for, whatever a request says."""
    kind, _, name = arn.path.partition("/")
    if kind != _JOB or name == ALL:
        return arn
    try:
        job = store.jobs.get(name)
    except NotFoundError:
        return arn
    if job.account != arn.account:
        return arn
    return Arn(arn.service, job.spec.region, arn.account, arn.path)


def _refused(key: AccessKey, action: str, arn: Arn, verdict: Verdict, session: bool) -> ApiError:
    """What is missing, so that whoever may change it need not guess."""
    who = key.who or f"the account {key.account}"
    why = f"{verdict.denied_by} denies it" if verdict.denied_by else "no policy allows it"
    lacking = f'{{"Effect": "Allow", "Action": "{action}", "Resource": "{arn}"}}'
    if verdict.denied_by:
        advice = "A denial outweighs every allowance: change the policy, or detach it."
    elif session:
        advice = f"The session was narrowed by a policy that lacks the statement {lacking}."
    else:
        advice = f"Attach a policy with the statement {lacking} to {key.principal}."
    code = "NoPermission" if action.startswith("sts:") else "Forbidden.Unauthorized"
    return errors.documented(code, f"{who} may not do {action} on {arn}: {why}.", advice)
