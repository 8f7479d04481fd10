"""The durable, tamper-evident log of a node, and the evidence taken from it."""
