"""The HTTP side: the SMC API as data, its codec and signatures, and the agents' API."""
