"""Addresses that what people ask for must not be sent to: those of the control plane's own host, and those
at which clouds tell a host its secrets. Pure."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))  # Alibaba Cloud, AWS


def refused(text: str) -> str:
    """What is wrong with an address; empty: nothing. ValueError for what is none.

    Private networks are allowed: most receivers are in one.
    """
    address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_loopback or address.is_unspecified:
        return "an address of the control plane's own host"
    if address.is_link_local or address in _METADATA:
        return "a link-local or metadata address"
    if address.is_multicast:
        return "a multicast address"
    return ""


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address
