"""Small configurations of every model of the package and of every wrapper: variants, by name.

A value of `MODELS` is what makes the model, and what `check_process` is to be told beside it.
"""

from __future__ import annotations

from .classical import CLASSICAL
from .neural import NEURAL
from .symbols import SYMBOLS
from .vectors import VECTORS

__all__ = ["MODELS"]

MODELS = CLASSICAL | SYMBOLS | VECTORS | NEURAL
