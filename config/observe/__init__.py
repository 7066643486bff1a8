"""What an operator sees of running processes: log lines and metrics."""

from __future__ import annotations

import os
from pathlib import Path

# prometheus_client looks at this when it is imported, and expects the folder to be there.
if _folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    Path(_folder).mkdir(parents=True, exist_ok=True)
