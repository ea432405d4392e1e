"""``python -m batchbandit``."""

from __future__ import annotations

import sys

from batchbandit.commands import main

if __name__ == "__main__":
    sys.exit(main())
