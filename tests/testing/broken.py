"""What the zoo says of a broken process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Broken:
    """A broken process, the check that names its mistake, and whether no other check sees it."""

    make: Any
    check: str
    alone: bool = False
    context: Any = None
