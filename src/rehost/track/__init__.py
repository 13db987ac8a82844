"""What of a source disk is used, what changed, and how it is frozen."""
