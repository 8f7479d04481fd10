"""Signed hourly counters: how much one node exchanged, without a word about whom it concerned."""
