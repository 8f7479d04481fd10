"""Open Data Contract Standard contracts: read, check, turn into OpenAPI."""
