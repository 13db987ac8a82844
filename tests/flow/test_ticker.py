import threading
from contextlib import closing

from rehost.flow.ticker import Ticker

LONG = 600.0  # seconds: no test waits for it


def test_what_failed_is_tried_again_soon() -> None:
    """A lease that could not be renewed as the database was away does not wait for its next turn."""
    tries = []
    again = threading.Event()

    def tick() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the database is away")
        again.set()

    with closing(Ticker("lease", tick, LONG)) as ticker:
        ticker.start()
        assert again.wait(30)
