"""The tables of a node's database, version by version."""
