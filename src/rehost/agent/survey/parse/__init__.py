"""Pure parsers of what the kernel and the disks say: bytes or text in, values out."""
