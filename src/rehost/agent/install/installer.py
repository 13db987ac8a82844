"""The script that installs the agent on a source server, filled in for one control plane."""

import platform
import re
from pathlib import Path

from rehost.agent.control import host_and_port
from rehost.core.errors import InvalidValueError

_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MARK = re.compile(r"@([A-Z0-9]+)@")


def render_install_script(endpoint: str, ca_pem: str, bundle_sha256: str, bundle_size: int = 0) -> str:
    """A POSIX shell script for `sh -s -- CODE`.

    `endpoint` is https://HOST:PORT, `bundle_size` bytes (people are told how much is downloaded).
    InvalidValueError for values that have no place in a shell script.
    """
    host, port = host_and_port(endpoint)
    if not _HOST.fullmatch(host) or not _SHA256.fullmatch(bundle_sha256) or "'" in ca_pem:
        raise InvalidValueError(
            f"no install script for {endpoint!a}", "call the control plane as https://HOST:PORT"
        )
    address = f"[{host}]" if ":" in host else host
    values = {
        "ENDPOINT": f"https://{address}:{port}",
        "HOST": address,
        "PORT": str(port),
        "SHA256": bundle_sha256,
        "CA": ca_pem.strip(),
        "MACHINE": platform.machine(),
        "MEGABYTES": str(max(1, round(bundle_size / 1e6))),
    }
    template = Path(__file__).with_name("install.sh").read_text()
    return _MARK.sub(lambda mark: values[mark[1]], template)
