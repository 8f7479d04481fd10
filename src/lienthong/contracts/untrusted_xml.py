"""How XML of others is parsed: no entities, no DTD, nothing fetched, libxml2's own limits kept."""

from __future__ import annotations

from typing import Any

# For ``lxml.etree.XMLParser``; who reads the tree refuses a document type as well.
PARSING: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
}
