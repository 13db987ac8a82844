"""Who sends a request: signature, clock, nonce and access key, in the gateway's order and with its codes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from rehost.api import errors, signature, times
from rehost.api.errors import ApiError
from rehost.api.rpc import Request
from rehost.store.keys import AccessKey, KeyStatus
from rehost.store.store import Store

CLOCK_WINDOW = 15 * 60.0  # seconds that a client's clock may differ
LONGEST_NONCE = 128

_V1_MANDATORY = (
    "AccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
)
_V3_READ = ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says of itself, and how to prove it."""

    key: str
    nonce: str
    time: str
    given: str
    string_to_sign: str
    sign: Callable[[str, str], str]
    mismatch: str  # the gateway's message for a wrong signature


def is_v3(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("ACS3-")


def verify(request: Request, store: Store, now: float) -> AccessKey:
    """The access key that signed the request; ApiError when none did, or not for this time and occasion."""
    claim = _v3(request) if is_v3(request) else _v1(request)
    sent = _fresh(claim.time, now)
    key = store.keys.get(claim.key)
    if key is None:
        raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    if key.status is not KeyStatus.ACTIVE:
        raise ApiError(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
    if not signature.same(claim.given, claim.sign(claim.string_to_sign, key.secret)):
        raise ApiError(400, "SignatureDoesNotMatch", claim.mismatch, "Check the AccessKeySecret.")
    # Only now: whoever cannot sign must not be able to use up nonces.
    if not store.nonces.use(key.id, claim.nonce, sent + CLOCK_WINDOW):
        raise ApiError(
            400,
            "SignatureNonceUsed",
            "Specified signature nonce was used already.",
            "Sign each request anew, repetitions too.",
        )
    return key


def _fresh(text: str, now: float) -> float:
    try:
        sent = times.parse(text)
    except ValueError:
        raise ApiError(
            400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.",
            f"It has to be UTC of the form YYYY-MM-DDThh:mm:ssZ, not {errors.shown(text)}.",
        ) from None  # fmt: skip
    if abs(now - sent) > CLOCK_WINDOW:
        raise ApiError(
            400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.",
            f"Set the client's clock: the request is of {text}, the server's time is {times.write(now)}.",
        )  # fmt: skip
    return sent


def _v1(request: Request) -> _Claim:
    values = request.parameters
    for name in _V1_MANDATORY:
        if not values.get(name):
            raise errors.missing(name)
    if values["SignatureMethod"].upper() != "HMAC-SHA1" or values["SignatureVersion"] != "1.0":
        raise _unknown_method(f"{values['SignatureMethod']} version {values['SignatureVersion']}")
    _refuse_token(values.get("SecurityToken", ""))
    text = signature.string_to_sign_v1(request.method, [*request.query, *request.form])
    return _Claim(
        key=values["AccessKeyId"],
        nonce=_nonce(values["SignatureNonce"]),
        time=values["Timestamp"],
        given=values["Signature"],
        string_to_sign=text,
        sign=signature.sign_v1,
        mismatch=f"Specified signature is not matched with our calculation. server string to sign is:{text}",
    )


def _v3(request: Request) -> _Claim:
    headers = request.headers
    authorization = signature.parse_authorization(headers["authorization"])
    if authorization is None:
        if not headers["authorization"].startswith(signature.V3):
            raise _unknown_method(headers["authorization"].partition(" ")[0])
        raise _incomplete(f"Authorization is not '{signature.V3} Credential=…,SignedHeaders=…,Signature=…'")
    for name in _V3_READ:
        if name in headers and name not in authorization.signed_headers:
            raise _incomplete(f"the header {name} is not among SignedHeaders")
    for name in ("x-acs-date", "x-acs-signature-nonce"):
        if not headers.get(name):
            raise _incomplete(f"the header {name} is missing")
    _refuse_token(headers.get("x-acs-security-token", ""))
    text = signature.string_to_sign_v3(
        request.method, request.query, headers, authorization.signed_headers, _body_hash(request)
    )
    return _Claim(
        key=authorization.access_key,
        nonce=_nonce(headers["x-acs-signature-nonce"]),
        time=headers["x-acs-date"],
        given=authorization.signature,
        string_to_sign=text,
        sign=signature.sign_v3,
        mismatch=f"Specified signature does not match our calculation. server StringToSign is [{text}]",
    )


def _body_hash(request: Request) -> str:
    """Of the body as it arrived, never as the header says."""
    computed = hashlib.sha256(request.body).hexdigest()
    claimed = request.headers.get("x-acs-content-sha256", computed)
    if claimed.lower() != computed:
        raise ApiError(
            400,
            "SignatureDoesNotMatch",
            f"The header x-acs-content-sha256 does not match the body that arrived. Its hash is: {computed}",
        )
    return claimed


def _nonce(nonce: str) -> str:
    if len(nonce) > LONGEST_NONCE:
        raise errors.malformed("SignatureNonce", nonce, f"at most {LONGEST_NONCE} characters")
    return nonce


def _refuse_token(token: str) -> None:
    if token:
        raise ApiError(
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Specified security token is mismatch with the specified AccessKey: no tokens are issued here.",
            "Sign with an access key of rehost key create.",
        )


def _unknown_method(method: str) -> ApiError:
    return ApiError(
        400,
        "InvalidSignatureMethod",
        f"Specified signature method is not valid. {errors.shown(method)} is not HMAC-SHA1 version 1.0 "
        f"or {signature.V3}.",
    )


def _incomplete(why: str) -> ApiError:
    return ApiError(
        400,
        "IncompleteSignature",
        f"The request signature does not conform to Aliyun standards. Reason: {why}.",
    )
