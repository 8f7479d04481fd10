"""Agreements: who may ask which service for what, why, until when and how often."""
