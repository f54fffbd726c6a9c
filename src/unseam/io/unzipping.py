"""What goes wrong where zip archives are unpacked; each kind of packing has errors of its own."""

from __future__ import annotations

import lzma
import zlib
from typing import Final
from zipfile import BadZipFile

UNZIPPING: Final = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError)
"""A RuntimeError is a password, or as NotImplementedError a kind of packing that is not known; bzip2 raises
OSError, and names that are no text ValueError."""
