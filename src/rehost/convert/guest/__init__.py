"""What runs inside the helper VM: the standard library only, and no import from outside of this package.

The pure modules (text in, text out) are imported by tests and by the host side as well.
"""
