"""Environment variable names from documents of CI systems, clouds and tools."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
# Each holds a secret, or a file, text or URL that contains one.
SECRETS = (_FOLDER / "secret-names.txt").read_text("utf-8").split()
HARMLESS = (_FOLDER / "harmless-names.txt").read_text("utf-8").split()
