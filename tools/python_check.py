"""Say, before anything is installed, what this Python lacks. Runs on any Python 3."""

import sys

LOWEST = (3, 11)


def main():  # type: ignore[no-untyped-def]  # annotations would be a syntax error on old ones
    """Return 1 and say what to install, if the environment could not be made."""
    if sys.version_info < LOWEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        print("Python 3.11 or newer is needed, this is " + found + ".")
        print("Name another one: make setup PYTHON=python3.12")
        return 1
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        print("Python's venv is not complete. Debian and Ubuntu: apt-get install python3-venv")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
