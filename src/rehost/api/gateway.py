"""From a decoded request to a reply: find the action, identify the caller, check, handle, encode."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from rehost.api import errors, identity, rpc, values
from rehost.api.actions import ACTIONS
from rehost.api.errors import ApiError
from rehost.api.rpc import Request
from rehost.api.services import Call, Services
from rehost.api.spec import Action
from rehost.core.errors import RehostError

VERSION = "2019-06-01"
FORMATS = ("json", "xml")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str
    request_id: str


def new_request_id() -> str:
    return str(uuid.uuid4()).upper()


def answer(request: Request, services: Services, host: str) -> Reply:
    """Never raises: what goes wrong is an error reply, and what is not the caller's doing is logged too."""
    request_id = new_request_id()
    name = ""
    try:
        action = find_action(request)
        name = action.name
        if request.format not in FORMATS:
            raise errors.not_allowed("Format", request.format, "json, xml")
        fields = _handle(action, request, services)
    except Exception as error:  # noqa: BLE001  logged below, and answered
        refusal = errors.refused(error) if isinstance(error, RehostError) else None
        if refusal is None:
            _log.exception("request failed", action=name, request_id=request_id)
            refusal = errors.internal()
        return refuse(refusal, request.format, request_id, host)
    return _encode(200, request.format, f"{name}Response", {"RequestId": request_id, **fields}, request_id)


def refuse(error: ApiError, form: str, request_id: str, host: str) -> Reply:
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.reported_code,
        "Message": error.what,
        "Recommend": error.advice,
    }
    return _encode(error.status, form, "Error", body, request_id)


def find_action(request: Request) -> Action:
    """Version 3 requests name the action in signed headers, the others in parameters."""
    name, version = _named(request, "Action"), _named(request, "Version")
    if version != VERSION:
        raise ApiError(
            400, "InvalidVersion", "Specified parameter Version is not valid.", f"It has to be {VERSION}."
        )
    try:
        return ACTIONS[name]
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
        raise errors.not_allowed(name, parameter, f"{header}, which the header x-acs-{name.lower()} says")
    if not header and not parameter:
        raise errors.missing(name)
    return header or parameter


def _handle(action: Action, request: Request, services: Services) -> dict[str, Any]:
    now = services.store.database.now()
    key = identity.verify(request, services.store, now)
    parsed = values.parse(action, [*request.query, *request.form])
    result: Mapping[str, Any] = action.handle(Call(services, key.account, key.id, now), parsed)
    return rpc.shaped(action.reply, result)


def _encode(status: int, form: str, root: str, fields: Mapping[str, Any], request_id: str) -> Reply:
    if form == "xml":
        return Reply(status, rpc.to_xml(root, fields), "text/xml;charset=utf-8", request_id)
    return Reply(status, rpc.to_json(fields), "application/json;charset=utf-8", request_id)
