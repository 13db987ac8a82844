"""What `make bench` runs."""

from bench.dataplane import main

main()
