"""What there is on this server: disks, file systems, boot, use."""
