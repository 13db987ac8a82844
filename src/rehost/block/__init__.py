"""Block devices behind one protocol, and filters that delay, fail, throttle and count."""
