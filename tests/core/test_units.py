import pytest

from rehost.core.units import bytes_text, rate_text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (2048 << 40, "2048.0 TiB")]
)
def test_bytes_for_people(size: int, text: str) -> None:
    assert bytes_text(size) == text


def test_rates_for_people() -> None:
    assert rate_text(1536.0) == "1.5 KiB/s"
