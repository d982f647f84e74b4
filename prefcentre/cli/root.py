"""The whole tree of commands, for whoever looks at all of it, such as the reference."""

from prefcentre.cli.tree import tree

app = tree()
