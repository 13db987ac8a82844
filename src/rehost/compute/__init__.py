"""Drivers: places where volumes, images and instances live."""
