"""One running installation: its state folder, its services, its operations."""
