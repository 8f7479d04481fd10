"""What ``make test-hostile`` runs beyond ``make test``."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "HOSTILE_INPUTS" in os.environ else ["full/*"]
