"""Other people's code, from a checkout that an environment variable names."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["pytorch_generative"]


def pytorch_generative() -> ModuleType | None:
    """The models of pytorch-generative, from a checkout at PYTORCH_GENERATIVE_DIR; None without.

    Its package loads data sets and loggers too; here just its models are imported.
    """
    folder = os.environ.get("PYTORCH_GENERATIVE_DIR")
    if not folder:
        print("  (PYTORCH_GENERATIVE_DIR is not set: no comparison with pytorch-generative)")
        return None
    source = Path(folder) / "pytorch_generative"
    if not (source / "models").is_dir():
        sys.exit(f"PYTORCH_GENERATIVE_DIR={folder} is no checkout of pytorch-generative")
    package = ModuleType("pytorch_generative")
    package.__path__ = [str(source)]
    sys.modules.setdefault("pytorch_generative", package)
    sys.modules["pytorch_generative"].nn = importlib.import_module("pytorch_generative.nn")  # type: ignore[attr-defined]
    return importlib.import_module("pytorch_generative.models")
