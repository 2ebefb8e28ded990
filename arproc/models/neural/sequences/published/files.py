"""The files of a folder of published weights: JSON, safetensors and a tokenizer. No code runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arproc.data.tokenizers import TokenizerVocabulary
from arproc.errors import DataError, FileFormatError, MissingDependencyError, UnsupportedError

__all__ = ["opened_tensors", "read_json", "tokenizer_of", "write_tensors"]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD, _SHARDS = "model-{:05d}-of-{:05d}.safetensors", "model-?????-of-?????.safetensors"
_REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """A file that holds one JSON object; {} where it need not be there and is not.

    Raises:
        DataError: there is no such file.
        FileFormatError: it holds something else.
    """
    if not path.is_file():
        if optional:
            return {}
        raise DataError(
            f"There is no {path.name} in {str(path.parent)!r}; expected a folder of published "
            "weights (config.json, model.safetensors, tokenizer.json)."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{str(path)!r} is not JSON ({error}).") from None
    if not isinstance(found, dict):
        raise FileFormatError(f"{str(path)!r} holds a {type(found).__name__}, not an object.")
    return found


def opened_tensors(folder: Path, stack: ExitStack) -> tuple[list[str], Callable[[str], Tensor]]:
    """The names of the tensors in a folder's files, and what reads one, as float32.

    Raises:
        DataError: there are no weights.
        UnsupportedError: the weights are pickled, which would run code, or not real numbers.
        FileFormatError: a file is damaged.
    """
    place = _places(folder)
    handles = {}
    for name in sorted(set(place.values())):
        try:
            handles[name] = stack.enter_context(safe_open(folder / name, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise FileFormatError(f"{str(folder / name)!r} can not be read ({error}).") from None

    def get(name: str) -> Tensor:
        try:
            tensor: Tensor = handles[place[name]].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise FileFormatError(
                f"tensor {name!r} can not be read from {place[name]!r} ({error})."
            ) from None
        if tensor.dtype not in _REAL:
            raise UnsupportedError(
                f"tensor {name!r} is of {tensor.dtype}, which is not supported; expected real "
                "numbers of 16, 32 or 64 bits."
            )
        return tensor.float()

    return list(place), get


def write_tensors(folder: Path, tensors: dict[str, Tensor], most: int) -> None:
    """Write weights as safetensors: one file, or several with an index where they are larger.

    As transformers does: tensors in their order, a new file where the next would be one too much,
    and one that is larger than that in a file of its own. Weights of earlier files in the folder
    are gone: whoever reads it takes one file before an index.

    Args:
        folder: where they go.
        tensors: by name.
        most: how many bytes of tensors a file has at most.
    """
    shards = _shards(tensors, most)
    names = [WEIGHTS]
    if len(shards) > 1:
        names = [_SHARD.format(k + 1, len(shards)) for k in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / f"{name}.partial", metadata={"format": "pt"})
    for old in [folder / WEIGHTS, folder / INDEX, *folder.glob(_SHARDS)]:
        old.unlink(missing_ok=True)
    for name in names:
        os.replace(folder / f"{name}.partial", folder / name)
    if len(shards) > 1:
        place = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        sizes = [tensor.nbytes for tensor in tensors.values()]
        index = {"metadata": {"total_size": sum(sizes)}, "weight_map": place}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")


def _shards(tensors: dict[str, Tensor], most: int) -> list[dict[str, Tensor]]:
    """The tensors of each file."""
    shards: list[dict[str, Tensor]] = []
    alone: list[dict[str, Tensor]] = []
    size = most + 1  # of the file that is being filled; there is none yet
    for name, tensor in tensors.items():
        if tensor.nbytes > most:
            alone.append({name: tensor})
            continue
        if size + tensor.nbytes > most:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return [*shards, *alone]


def _places(folder: Path) -> dict[str, str]:
    """In which file each tensor is."""
    if (folder / WEIGHTS).is_file():
        with ExitStack() as stack:
            try:
                handle = stack.enter_context(safe_open(folder / WEIGHTS, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise FileFormatError(
                    f"{str(folder / WEIGHTS)!r} can not be read ({error})."
                ) from None
            return dict.fromkeys(handle.keys(), WEIGHTS)
    if (folder / INDEX).is_file():
        found = read_json(folder / INDEX).get("weight_map")
        if not isinstance(found, dict) or not found:
            raise FileFormatError(f"{str(folder / INDEX)!r} has no weight_map.")
        for name in found.values():
            if not isinstance(name, str) or Path(name).name != name:
                raise FileFormatError(
                    f"{str(folder / INDEX)!r} names {name!r}, which is not a file beside it."
                )
        return found
    pickled = sorted(p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth"))
    if pickled:
        raise UnsupportedError(
            f"{str(folder)!r} has its weights in {pickled[0]}, a pickle, which could run any code "
            "when it is read; expected model.safetensors. Save the model again as safetensors."
        )
    raise DataError(f"There are no weights in {str(folder)!r}: expected {WEIGHTS} or {INDEX}.")


def tokenizer_of(folder: Path, without: int | None = None) -> TokenizerVocabulary | None:
    """The tokenizer of a folder, None where there is none.

    It adds nothing to a text: what stands before the first token is the law's to say.

    Args:
        folder: where tokenizer.json is.
        without: a special token to leave out, which texts do not have.

    Raises:
        MissingDependencyError: the tokenizers package is not here.
        FileFormatError: the file is damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    found = read_json(path)
    found |= {"post_processor": None, "truncation": None, "padding": None}
    if without is not None:
        added = found.get("added_tokens") or []
        found["added_tokens"] = [token for token in added if token.get("id") != without]
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise MissingDependencyError(
            f"{str(path)!r} is a tokenizer of the tokenizers package; bring it with "
            "pip install 'arproc[text]'."
        ) from None
    try:
        return TokenizerVocabulary.of(Tokenizer.from_str(json.dumps(found)))
    except Exception as error:  # the package raises plain Exceptions
        raise FileFormatError(f"{str(path)!r} is no tokenizer ({error}).") from None
