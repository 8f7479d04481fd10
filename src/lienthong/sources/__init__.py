"""Where an agency's data really lives, and the data service that stands before it."""
