"""A trouble that lasts is logged when it begins, changes and is over, not each time that it is met."""

import logging


class Trouble:
    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._text = ""

    def is_now(self, text: str) -> None:
        """Say it, if it is not said yet; the empty text ends it."""
        if text and text != self._text:
            self._log.error("%s", text)
        if self._text and not text:
            self._log.info("over: %s", self._text)
        self._text = text
