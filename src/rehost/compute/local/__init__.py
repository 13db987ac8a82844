"""The local driver: replicas, images and instances in a folder of this host."""

from rehost.compute.local.driver import LocalDriver

__all__ = ["LocalDriver"]
