"""Small files of a guest, read. Pure."""

import re


def os_release(text: str) -> dict[str, str]:
    pairs = re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def is_debian_family(release: dict[str, str]) -> bool:
    return "debian" in (release.get("ID", ""), *release.get("ID_LIKE", "").split())


def major(version: str) -> int:
    """252.39-1~deb12u2 -> 252; 0 when there is no number."""
    match = re.match(r"(?:\d+:)?(\d+)", version)
    return int(match[1]) if match else 0


def with_debconf_value(text: str, question: str, value: str) -> str:
    """debconf's config.dat with another answer to a question, if it was ever asked."""
    pattern = rf"(^Name: {re.escape(question)}\n(?:(?!Name:|Value:)[^\n]+\n)*Value: )[^\n]*"
    return re.sub(pattern, lambda match: match[1] + value, text, flags=re.MULTILINE)
