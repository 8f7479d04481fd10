"""Liên Thông: the databases of state agencies connect, share and prove what they shared."""

__version__ = "0.1.0"
