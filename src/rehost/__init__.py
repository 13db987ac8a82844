"""rehost moves a running server, whole, to another place."""

__version__ = "0.1.0"
