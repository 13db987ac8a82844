"""The demonstration: one running server is moved, and everything that is claimed of it is shown."""
