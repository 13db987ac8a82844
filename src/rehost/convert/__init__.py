"""Turning a replica into an image that boots on other hardware."""
