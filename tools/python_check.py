"""Say, before anything is installed, what this Python lacks. Runs on any Python 3."""

import sys

LOWEST = (3, 11)

if sys.version_info < LOWEST:
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(f"Python 3.11 or newer is needed, this is {found}: make setup PYTHON=python3.12")
try:
    import ensurepip  # noqa: F401
except ImportError:
    sys.exit("Python's venv is not complete. Debian and Ubuntu: apt-get install python3-venv")
