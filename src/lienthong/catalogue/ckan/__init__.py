"""The catalogue as CKAN's Action API, read-only."""
