"""Both signatures: the published vectors, and what must and must not change them."""

import hashlib
from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from rehost.api import rpc, signature

V1_VECTOR = [
    ("Timestamp", "2016-02-23T12:46:24Z"),
    ("Format", "XML"),
    ("AccessKeyId", "testid"),
    ("Action", "DescribeRegions"),
    ("SignatureMethod", "HMAC-SHA1"),
    ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
    ("Version", "2014-05-26"),
    ("SignatureVersion", "1.0"),
]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
V3_HEADERS = {
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-content-sha256": EMPTY,
    "x-acs-date": "2023-10-26T10:22:32Z",
    "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    "x-acs-version": "2014-05-26",
}
V3_QUERY = [
    ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
    ("RegionId", "cn-shanghai"),
]

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
pairs = st.dictionaries(texts.filter(bool), texts, max_size=8).map(lambda d: list(d.items()))


def test_v1_published_vector() -> None:
    text = signature.string_to_sign_v1("GET", V1_VECTOR)
    assert signature.sign_v1(text, "testsecret") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


def test_v3_published_vector() -> None:
    text = signature.string_to_sign_v3("POST", V3_QUERY, V3_HEADERS, sorted(V3_HEADERS), EMPTY)
    assert text.endswith("\n7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259")
    assert (
        signature.sign_v3(text, "YourAccessKeySecret")
        == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_encoding_is_rfc_3986() -> None:
    assert signature.encode("a b*c~d/é") == "a%20b%2Ac~d%2F%C3%A9"


def test_empty_values_are_signed() -> None:
    assert signature.canonical_query([("b", ""), ("a", "1")]) == "a=1&b="


@given(pairs)
def test_the_wires_escapes_do_not_matter(parameters: list[tuple[str, str]]) -> None:
    """Form encoding with + and raw *()!' decodes to what strict encoding decodes to."""
    strict = "&".join(f"{signature.encode(k)}={signature.encode(v)}" for k, v in parameters)
    loose = "&".join(
        f"{quote_plus(k, safe='*()!~/:')}={quote_plus(v, safe='*()!~/:')}" for k, v in parameters
    )
    decoded = [rpc.decode("GET", text.encode(), {}, b"").query for text in (strict, loose)]
    assert decoded[0] == decoded[1] == parameters
    signed = [signature.string_to_sign_v1("GET", query) for query in decoded]
    assert signed[0] == signed[1]


@given(pairs, pairs, st.sampled_from(["GET", "POST"]))
def test_v1_tells_different_requests_apart(
    one: list[tuple[str, str]], other: list[tuple[str, str]], method: str
) -> None:
    same = sorted(p for p in one if p[0] != "Signature") == sorted(p for p in other if p[0] != "Signature")
    strings = [signature.string_to_sign_v1(method, query) for query in (one, other)]
    assert (strings[0] == strings[1]) == same


@given(st.binary())
def test_header_bytes_are_hashed_as_sent(value: bytes) -> None:
    """Header values that are not UTF-8 are kept by escapes, and hashed as their bytes."""
    headers = {"x": value.decode(errors="surrogateescape")}
    text = signature.string_to_sign_v3("GET", [], headers, ["x"], EMPTY)
    request = (
        b"GET\n/\n\nx:" + headers["x"].strip().encode(errors="surrogateescape") + b"\n\nx\n" + EMPTY.encode()
    )
    assert text == f"{signature.V3}\n{hashlib.sha256(request).hexdigest()}"


def test_authorization_is_parsed_with_and_without_spaces() -> None:
    for comma in (",", ", "):
        header = f"{signature.V3} Credential=key{comma}SignedHeaders=a;b{comma}Signature=0f"
        assert signature.parse_authorization(header) == signature.Authorization("key", ("a", "b"), "0f")


@given(st.text())
def test_any_authorization_is_parsed_or_none(text: str) -> None:
    assert signature.parse_authorization(f"{signature.V3} {text}") is None or "Credential=" in text


@given(st.text(), st.text(alphabet="0123456789abcdef"))
def test_comparison_takes_any_text(given_text: str, computed: str) -> None:
    assert signature.same(given_text, computed) == (given_text == computed)
