"""The command `rehost`. With the small installation of a source server, only `rehost agent` is there."""

import sys
from collections.abc import Sequence

SMALL = """\
rehost: only `rehost agent` can be used here, since the packages of the control plane are not installed
  (missing: {name}). Install them: pip install 'rehost[server]'
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if words is None else words)
    if arguments[:1] == ["agent"]:
        # Past the command tree, so that it works without the server's packages.
        from rehost.agent.main import main as run_agent

        return run_agent(arguments[1:])
    try:
        from rehost.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "rehost":
            raise
        sys.stderr.write(SMALL.format(name=missing.name))
        return 1
    app(arguments, prog_name="rehost")  # ends the process with the command's exit code
    return 0


if __name__ == "__main__":
    sys.exit(main())
