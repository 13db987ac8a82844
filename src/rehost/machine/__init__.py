"""QEMU virtual machines: start, talk to, watch and end them."""
