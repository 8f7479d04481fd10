"""The X-Road REST interface, as pure functions: what the client edge reads and writes."""
