"""`python -m rehost.agent` is `rehost-agent`."""

import sys

from rehost.agent.main import main

if __name__ == "__main__":
    sys.exit(main())
