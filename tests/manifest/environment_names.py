"""Names of environment variables, as documents of CI systems, clouds, frameworks and tools have them."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
# Each holds a secret, or the file, text or address that has one in it.
SECRETS = (_FOLDER / "secret-names.txt").read_text("utf-8").split()
HARMLESS = (_FOLDER / "harmless-names.txt").read_text("utf-8").split()
