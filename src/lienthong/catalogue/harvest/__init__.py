"""Datasets of other catalogues, brought into this one and kept up to date."""
