"""``lienthong doctor``: what may be wrong with a node, and what to do about it."""
