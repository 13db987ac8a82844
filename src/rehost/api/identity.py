"""Who sends a request: signature, clock, nonce and access key, in the gateway's order and with its codes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from rehost.api import codes, errors, signature, times
from rehost.api.errors import ApiError
from rehost.api.rpc import Request
from rehost.store.audit import AuditEntry
from rehost.store.keys import TOKEN, AccessKey, KeyStatus
from rehost.store.store import Store

MISMATCH = "SignatureDoesNotMatch"
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
_V3_READ = (
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
    "x-acs-accesskey-id",
    "x-acs-security-token",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself, and how to prove it."""

    key: str
    nonce: str
    time: str
    token: str  # of a temporary key; else empty
    given: str
    string_to_sign: str
    sign: Callable[[str, str], str]
    mismatch: str  # the gateway's message for a wrong signature
    sent: float = 0.0  # the time as Unix seconds


def is_v3(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("ACS3-")


def claimed(request: Request) -> Claim:
    """ApiError when what it takes to know the caller is missing or of another form."""
    claim = _v3(request) if is_v3(request) else _v1(request)
    return replace(claim, sent=_moment(claim.time))


def key_of(claim: Claim, store: Store) -> AccessKey:
    """The key that the request says it is signed by, whoever it comes from; ApiError when there is none."""
    key = store.keys.get(claim.key)
    if key is None:
        raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    return key


def prove(claim: Claim, key: AccessKey, now: float) -> None:
    """ApiError unless the request is of this time, and the key may be used and has signed it."""
    if abs(now - claim.sent) > CLOCK_WINDOW:
        raise ApiError(
            400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.",
            f"Set the client's clock: the request is of {claim.time}, the time here is {times.write(now)}.",
        )  # fmt: skip
    if key.status is not KeyStatus.ACTIVE:
        raise ApiError(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
    if not signature.same(claim.given, claim.sign(claim.string_to_sign, key.secret)):
        raise ApiError(400, MISMATCH, claim.mismatch, "Check the AccessKeySecret.")
    _check_token(claim.token, key, now)


def use_nonce(claim: Claim, key: AccessKey, store: Store, entry: AuditEntry | None = None) -> None:
    """Only when the signature is right: whoever cannot sign must not be able to use up nonces.

    A given `entry` is in the audit trail when this returns.
    """
    if not store.nonces.use(key.id, claim.nonce, claim.sent + CLOCK_WINDOW, entry):
        raise ApiError(
            400,
            "SignatureNonceUsed",
            "Specified signature nonce was used already.",
            "Sign each request anew, repetitions too.",
        )


def _check_token(token: str, key: AccessKey, now: float) -> None:
    """After the signature: a token that is not the key's tells its sender nothing about the key."""
    if not key.temporary and not token:
        return
    if key.temporary and not token:
        raise ApiError(
            400,
            "MissingSecurityToken",
            "SecurityToken is mandatory for this action.",
            "A temporary access key is good together with its SecurityToken only.",
        )
    if key.temporary and not TOKEN.fullmatch(token):
        raise ApiError(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
    if not key.has_token(token):
        raise ApiError(
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Specified SecurityToken mismatch with the AccessKey.",
            "Take both from the same reply of AssumeRole; a permanent access key has no token.",
        )
    if key.expires is not None and key.expires <= now:
        raise ApiError(
            400,
            "InvalidSecurityToken.Expired",
            "Specified SecurityToken is expired.",
            f"It was good until {times.write(key.expires)}: ask for another one.",
        )


def _moment(text: str) -> float:
    try:
        return times.parse(text)
    except ValueError:
        raise ApiError(
            400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.",
            f"It has to be UTC of the form YYYY-MM-DDThh:mm:ssZ, not {errors.shown(text)}.",
        ) from None  # fmt: skip


def _v1(request: Request) -> Claim:
    values = request.parameters
    for name in _V1_MANDATORY:
        if not values.get(name):
            raise errors.missing(name)
    if values["SignatureMethod"].upper() != "HMAC-SHA1" or values["SignatureVersion"] != "1.0":
        raise _unknown_method(f"{values['SignatureMethod']} version {values['SignatureVersion']}")
    text = signature.string_to_sign_v1(request.method, values.items())
    return Claim(
        key=values["AccessKeyId"],
        nonce=_nonce(values["SignatureNonce"]),
        time=values["Timestamp"],
        token=values.get("SecurityToken", ""),
        given=values["Signature"],
        string_to_sign=text,
        sign=signature.sign_v1,
        mismatch=f"{codes.OF_REQUESTS[MISMATCH].text} server string to sign is:{text}",
    )


def _v3(request: Request) -> Claim:
    headers = request.headers
    authorization = signature.parse_authorization(headers["authorization"])
    if authorization is None:
        if not headers["authorization"].startswith(signature.V3):
            raise _unknown_method(headers["authorization"].partition(" ")[0])
        raise _incomplete(f"Authorization is not '{signature.V3} Credential=…,SignedHeaders=…,Signature=…'")
    if not _is_text(authorization.access_key):
        raise _incomplete("the Credential is not UTF-8")
    for name in _V3_READ:
        if name in headers and name not in authorization.signed_headers:
            raise _incomplete(f"the header {name} is not among SignedHeaders")
    for name in ("x-acs-date", "x-acs-signature-nonce"):
        if not headers.get(name):
            raise _incomplete(f"the header {name} is missing")
    if headers.get("x-acs-accesskey-id", authorization.access_key) != authorization.access_key:
        raise _incomplete("x-acs-accesskey-id is another key than the Credential")
    text = signature.string_to_sign_v3(
        request.method, request.query, headers, authorization.signed_headers, _body_hash(request)
    )
    return Claim(
        key=authorization.access_key,
        nonce=_nonce(headers["x-acs-signature-nonce"]),
        time=headers["x-acs-date"],
        token=headers.get("x-acs-security-token", ""),
        given=authorization.signature,
        string_to_sign=text,
        sign=signature.sign_v3,
        mismatch=f"{codes.OF_V3[MISMATCH].text} server StringToSign is [{text}]",
    )


def _body_hash(request: Request) -> str:
    """Of the body as it arrived, never as the header says."""
    computed = hashlib.sha256(request.body).hexdigest()
    claimed = request.headers.get("x-acs-content-sha256", computed)
    if claimed.lower() != computed:
        raise ApiError(
            400,
            MISMATCH,
            f"{codes.OF_V3[MISMATCH].text} The header x-acs-content-sha256 is of another body than the one"
            f" that arrived, whose hash is: {computed}",
        )
    return claimed


def _nonce(nonce: str) -> str:
    if len(nonce) > LONGEST_NONCE or not _is_text(nonce):
        raise errors.malformed("SignatureNonce", nonce, f"at most {LONGEST_NONCE} characters of UTF-8")
    return nonce


def _is_text(value: str) -> bool:
    """Headers may hold bytes that are no UTF-8; as escapes they would be no text for the database."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


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
