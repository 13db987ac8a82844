"""Copying disks while the server works: rounds, the freeze, streams to the receiver."""
