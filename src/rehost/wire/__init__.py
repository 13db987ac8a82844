"""The data plane's protocol: messages as values and a sans-I/O connection. See docs/protocol.md."""
