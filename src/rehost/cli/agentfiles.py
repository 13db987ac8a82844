"""What a source server downloads: the agent's file, built once, and the script that installs it."""

import logging
import threading
from pathlib import Path

from rehost.agent.install.bundle import Bundle, build
from rehost.agent.install.installer import render_install_script
from rehost.core.errors import RehostError

_log = logging.getLogger(__name__)


class AgentFiles:
    """Built in the background from the start, so that the first download need not wait for it."""

    def __init__(self, cache: Path, ca_pem: str) -> None:
        self._cache = cache
        self._ca_pem = ca_pem
        self._building = threading.Lock()
        self._bundle: Bundle | None = None

    def bundle(self) -> Bundle:
        """AgentInstallError when this host's interpreter lacks something that the agent needs."""
        with self._building:
            if self._bundle is None or not self._bundle.path.exists():
                self._bundle = build(self._cache)
            return self._bundle

    def file(self) -> Path:
        return self.bundle().path

    def install_script(self, endpoint: str) -> str:
        bundle = self.bundle()
        return render_install_script(endpoint, self._ca_pem, bundle.sha256, bundle.size)

    def build_in_background(self) -> None:
        threading.Thread(target=self._try_to_build, name="agent file", daemon=True).start()

    def _try_to_build(self) -> None:
        try:
            self.bundle()
        except RehostError as error:
            _log.warning("agents cannot be installed from here: %s", error)  # each download says it, too
