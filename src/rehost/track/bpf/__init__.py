"""Loads small programs into the kernel by bpf(2) alone: no compiler, no library, no kernel headers."""
