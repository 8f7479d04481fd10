"""The catalogue of shared databases: published by nodes, kept with its history, searched."""
