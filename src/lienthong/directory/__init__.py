"""The signed list of members, nodes, keys and revocations that every node trusts."""
