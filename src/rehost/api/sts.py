"""The actions of the Security Token Service, version 2015-04-01: temporary keys for scripts."""

import re

from rehost.api import errors, times
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Form, Kind, Nested, Number, Resource, Text
from rehost.api.values import Values
from rehost.core.errors import NotFoundError, PolicyError
from rehost.core.ram.document import parse
from rehost.store.principals import PrincipalKind

SHORTEST, LONGEST, USUAL = 900, 43200, 3600  # seconds that a temporary key can be good for
LONGEST_POLICY = 2048  # characters

ROLE_ARN = Form(
    re.compile(r"acs:ram::[A-Za-z0-9._-]{1,64}:role/[A-Za-z0-9._-]{1,64}"), "acs:ram::<account>:role/<name>"
)
SESSION_NAME = Form(re.compile(r"[A-Za-z0-9.@_-]{2,64}"), "2 to 64 letters, digits and . @ - _")


def assume_role(call: Call, values: Values) -> dict[str, object]:
    arn = values.text("RoleArn")
    account, role = arn.split(":", 4)[3], arn.rpartition("/")[2]
    policy = values.text("Policy")
    try:
        if policy:
            parse("Policy", policy)
        if account != call.account:  # another account's role does not exist for the caller
            raise NotFoundError(arn)
        name = call.store.principals.get(account, PrincipalKind.ROLE, role).name
    except PolicyError as error:
        raise errors.documented("InvalidParameter.PolicyGrammar", f"{error.what}.", error.advice) from None
    except NotFoundError:
        raise errors.documented("EntityNotExist.Role", f"It is {errors.shown(arn)}.") from None
    session = values.text("RoleSessionName")
    made = call.store.keys.create_session(
        account, name, values.integer("DurationSeconds"), name=session, policy=policy,
        issuer=call.key.issuer or call.key.id,
    )  # fmt: skip
    return {
        "AssumedRoleUser": {"Arn": f"{arn}/{session}", "AssumedRoleId": f"{role}:{session}"},
        "Credentials": {
            "AccessKeyId": made.key.id,
            "AccessKeySecret": made.key.secret,
            "SecurityToken": made.token,
            "Expiration": times.write_known(made.key.expires),
        },
    }


def get_caller_identity(call: Call, values: Values) -> dict[str, object]:
    key = call.key
    kinds = {"": "Account", PrincipalKind.USER: "RAMUser", PrincipalKind.ROLE: "AssumedRoleUser"}
    return {
        "AccountId": key.account,
        "IdentityType": kinds[key.principal.partition("/")[0]],
        "PrincipalId": key.who.partition("/")[2].replace("/", ":") or key.account,
        "Arn": f"acs:ram::{key.account}:{key.who or 'root'}",
    }


_CREDENTIALS = (
    Field("AccessKeyId", Kind.STRING, "Of the temporary key."),
    Field("AccessKeySecret", Kind.STRING, "Its secret."),
    Field("SecurityToken", Kind.STRING, "Sent with each request that the key signs."),
    Field("Expiration", Kind.TIME, "The end of both."),
)
_ASSUMED = (
    Field("Arn", Kind.STRING, "acs:ram::<account>:role/<name>/<session>"),
    Field("AssumedRoleId", Kind.STRING, "<name>:<session>"),
)

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            "AssumeRole",
            "A temporary key that may do what a role may.",
            (
                Text("RoleArn", "The role.", form=ROLE_ARN, required=True),
                Text("RoleSessionName", "A name for the time.", form=SESSION_NAME, required=True),
                Number("DurationSeconds", "Seconds.", least=SHORTEST, most=LONGEST, default=USUAL),
                Text("Policy", "What it may do at most, as JSON.", longest=LONGEST_POLICY),
            ),
            assume_role,
            (Nested("AssumedRoleUser", _ASSUMED), Nested("Credentials", _CREDENTIALS)),
            codes=("NoPermission", "EntityNotExist.Role", "InvalidParameter.PolicyGrammar"),
            resources=(Resource("", "RoleArn"),),
        ),
        Action(
            "GetCallerIdentity",
            "Who the caller is; nobody needs leave for that.",
            (),
            get_caller_identity,
            (
                Field("AccountId", Kind.STRING, "The caller's account."),
                Field("IdentityType", Kind.STRING, "Account, RAMUser or AssumedRoleUser."),
                Field("PrincipalId", Kind.STRING, "The user, <role>:<session>, or the account itself."),
                Field("Arn", Kind.STRING, "The same as an ARN."),
            ),
        ),
    )
}
