"""The local driver: replicas, images and instances in a folder of this host."""
