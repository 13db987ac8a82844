"""The pure core: values, rules and state machines; no I/O, clock or randomness."""
