"""Where messages must not go."""

import pytest

from rehost.core.addresses import refused

OWN = ("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "2002:7f00:1::")
LOCAL = ("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
         "100.100.100.200", "fd00:ec2::254")  # fmt: skip


@pytest.mark.parametrize("address", [*OWN, *LOCAL, "224.0.0.1", "ff02::1"])
def test_refused(address: str) -> None:
    assert refused(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1"])
def test_allowed(address: str) -> None:
    assert not refused(address)


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError):
        refused("localhost")
