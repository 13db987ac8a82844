"""Whether an image, or disks at rest, are what a run has sealed."""
