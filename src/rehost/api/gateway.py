"""From a decoded request to a reply: find the action, identify the caller, check, handle, encode."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog

from rehost.api import authorization, errors, identity, rpc, shapes, sts, values
from rehost.api.actions import ACTIONS
from rehost.api.auditing import Audited
from rehost.api.errors import ApiError
from rehost.api.identity import Claim
from rehost.api.rpc import Encodable, Request
from rehost.api.services import Call, Services
from rehost.api.spec import IDENTIFIER, Action
from rehost.api.values import Values
from rehost.core.errors import RehostError
from rehost.core.ram.condition import Context
from rehost.store import audit
from rehost.store.keys import AccessKey
from rehost.store.store import Store

VERSION = "2019-06-01"
STS_VERSION = "2015-04-01"
FORMATS = ("json", "xml")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """One of the services that this endpoint speaks for."""

    code: str  # as policies name it
    actions: Mapping[str, Action]


SERVICES = {VERSION: Service("smc", ACTIONS), STS_VERSION: Service("sts", sts.ACTIONS)}

_REPLIES = {
    (service.code, action.name): shapes.reply(f"{action.name}Response", action.reply)
    for service in SERVICES.values()
    for action in service.actions.values()
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    host: str  # that it names as the one it wants to reach
    address: str = ""  # the client's; empty: not known
    secure: bool = False  # over TLS


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str
    request_id: str
    retry_after: int = 0  # milliseconds until the same request may be accepted


def action_names() -> tuple[str, ...]:
    return tuple(name for service in SERVICES.values() for name in service.actions)


def new_request_id() -> str:
    return str(uuid.uuid4()).upper()


def answer(request: Request, services: Services, origin: Origin) -> Reply:
    """Never raises: what goes wrong is an error reply, and what is not the caller's doing is logged too."""
    request_id = new_request_id()
    now = services.store.database.now()
    audited = Audited(services.store.audit, request_id, now, origin.address)
    name = ""
    try:
        service, action = find_action(request)
        name = action.name
        if request.format not in FORMATS:
            raise errors.not_allowed("Format", request.format, "json, xml")
        result = _handle(_Exchange(service, action, request, services, origin, audited, now))
        shape = _REPLIES[service.code, action.name]
        reply = msgspec.convert({"RequestId": request_id, **result}, shape)
    except Exception as error:  # noqa: BLE001  logged below, and answered
        refusal = errors.refused(error) if isinstance(error, RehostError) else None
        if refusal is None:
            _log.exception("request failed", action=name, request_id=request_id)
            refusal = errors.internal()
        audited.end(refusal.reported_code)
        return refuse(refusal, request.format, request_id, origin.host)
    audited.end(audit.DONE)
    return _encode(200, request.format, f"{name}Response", reply, request_id)


def refuse(error: ApiError, form: str, request_id: str, host: str) -> Reply:
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.reported_code,
        "Message": error.what,
        "Recommend": error.advice,
    }
    reply = _encode(error.status, form, "Error", body, request_id)
    return replace(reply, retry_after=math.ceil(error.retry_after * 1000))


def find_action(request: Request) -> tuple[Service, Action]:
    """Version 3 requests name the action in signed headers, the others in parameters."""
    name, version = _named(request, "Action"), _named(request, "Version")
    service = SERVICES.get(version)
    if service is None:
        raise ApiError(
            400, "InvalidVersion", "Specified parameter Version is not valid.", f"It has to be {VERSION}."
        )
    try:
        return service, service.actions[name]
    except KeyError:
        raise unknown_api() from None


def unknown_api() -> ApiError:
    return ApiError(
        404,
        "InvalidAction.NotFound",
        "Specified api is not found, please check your url and method.",
        f"The actions are {', '.join(ACTIONS)}; they are called by GET or POST on the path /.",
    )


def _named(request: Request, name: str) -> str:
    parameter = request.parameters.get(name, "")
    header = request.headers.get(f"x-acs-{name.lower()}", "") if identity.is_v3(request) else ""
    if header and parameter and header != parameter:
        raise errors.not_allowed(
            name, parameter, f"{errors.shown(header)}, which the header x-acs-{name.lower()} says"
        )
    if not header and not parameter:
        raise errors.missing(name)
    return header or parameter


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request whose action is known, and what it takes to carry it out."""

    service: Service
    action: Action
    request: Request
    services: Services
    origin: Origin
    audited: Audited
    now: float

    @property
    def name(self) -> str:
        """The action as policies and the audit trail name it."""
        return f"{self.service.code}:{self.action.name}"

    @property
    def store(self) -> Store:
        return self.services.store


def _handle(exchange: _Exchange) -> Mapping[str, Any]:
    """In the gateway's order: signature, flow control, nonce, and only then what is wrong with the rest."""
    action, audited = exchange.action, exchange.audited
    claim, key = _admitted(exchange)
    audited.by(key, exchange.name)
    wanted = _wanted(exchange, key)
    if not isinstance(wanted, Values):
        identity.use_nonce(claim, key, exchange.store)
        raise wanted
    carry_out = _together if action.in_records else _of_one_state if action.reads else _in_steps
    return carry_out(exchange, claim, key, wanted)


def _together(exchange: _Exchange, claim: Claim, key: AccessKey, wanted: Values) -> Mapping[str, Any]:
    """Nonce, change and audit entry are one transaction, all or nothing: one wait for the disk."""
    audited = exchange.audited
    try:
        with exchange.store.database.together():
            identity.use_nonce(claim, key, exchange.store)
            result = exchange.action.handle(Call(exchange.services, key, exchange.now), wanted)
            audited.write_done()
    except Exception:
        identity.use_nonce(claim, key, exchange.store, audited.entry)
        audited.begun()
        raise
    audited.ended()
    return result


def _in_steps(exchange: _Exchange, claim: Claim, key: AccessKey, wanted: Values) -> Mapping[str, Any]:
    """What changes something is in the audit trail before anything is done."""
    identity.use_nonce(claim, key, exchange.store, exchange.audited.entry)
    exchange.audited.begun()
    return exchange.action.handle(Call(exchange.services, key, exchange.now), wanted)


def _of_one_state(exchange: _Exchange, claim: Claim, key: AccessKey, wanted: Values) -> Mapping[str, Any]:
    """A row of the reply and what belongs to it, such as its tags, are of the same state of the records."""
    identity.use_nonce(claim, key, exchange.store)
    with exchange.store.database.one_state():
        return exchange.action.handle(Call(exchange.services, key, exchange.now), wanted)


def _admitted(exchange: _Exchange) -> tuple[Claim, AccessKey]:
    """Who is refused at the door by a known key's name is told of in the audit trail, too."""
    claim = identity.claimed(exchange.request)
    key, throttle = identity.key_of(claim, exchange.store), exchange.services.throttle
    try:
        identity.prove(claim, key, exchange.now)
        throttle.check(key, exchange.action.name)
    except ApiError:
        if throttle.tells_of_refusal(key):
            exchange.audited.by(key, exchange.name)
        raise
    return claim, key


def _region(request: Request) -> str:
    """Any request can name one; it becomes a part of ARNs, for policies and for the audit trail."""
    region = request.parameters.get("RegionId", "")
    if region and not IDENTIFIER.pattern.fullmatch(region):
        raise errors.malformed("RegionId", region, IDENTIFIER.says)
    return region


def _wanted(exchange: _Exchange, key: AccessKey) -> Values | RehostError:
    """The parameters if they are right and the caller may do what they ask for, else why not."""
    request, origin = exchange.request, exchange.origin
    try:
        parsed = values.parse(exchange.action, [*request.query, *request.form])
        region = _region(request)
        needed = authorization.resources(exchange.action, exchange.service.code, parsed, key.account, region)
        exchange.audited.on(needed)
        context = Context(origin.address, exchange.now, origin.secure)
        authorization.check(exchange.store, key, exchange.name, needed, context)
    except RehostError as error:
        return error
    return parsed


def _encode(status: int, form: str, root: str, reply: Encodable, request_id: str) -> Reply:
    if form == "xml":
        return Reply(status, rpc.to_xml(root, reply), "text/xml;charset=utf-8", request_id)
    return Reply(status, rpc.to_json(reply), "application/json;charset=utf-8", request_id)
