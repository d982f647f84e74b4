"""Lets ``python -m prefcentre`` do the same as the ``prefcentre`` command."""

from prefcentre.cli import main

main()
