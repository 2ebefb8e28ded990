"""What the mask of one row costs at 50,000 tokens, in microseconds of CPU time.

Beside it stands what one softmax over such a row costs in the same run, which every step pays.
"new" is the first mask of a state, "known" that of a state met before. The masks of a finite
automaton are made when it is compiled, which is timed too (once; the first one also sorts the
tokens).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch

import arproc
from arproc.data.token_texts import TokenTexts
from arproc.data.vocabulary import Vocabulary
from arproc.sampling import Constraint, Grammar, JSONSchema, Regex
from arproc.sampling.constraints.acceptor import ENDED
from arproc.spaces import Categorical
from benchmarks.timing import REDUCED

SIZE, RUNS = (600, 1) if REDUCED else (50_000, 8)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
CONSTRAINTS: dict[str, Constraint] = {
    "Regex, a sentence": Regex("[A-Z]?[a-z ]+( and [a-z ]+)*[.]", seconds=300),
    "Regex, a record": Regex(r'\{"name": "[a-z ]+", "age": \d{1,3}\}', seconds=300),
    "JSONSchema": JSONSchema(SCHEMA, seconds=300),
    "Grammar": Grammar(
        'start: term (("+" | "-") term)*\nterm: /[0-9]+/ | "(" start ")"', seconds=300
    ),
}


def law() -> SimpleNamespace:
    """The space of a law of so many tokens, pieces of English words and signs."""
    rng = random.Random(0)
    words = " ".join(arproc.datasets.english()[0][:3000]).split()
    tokens = {bytes([byte]) for byte in range(256)}
    while len(tokens) < SIZE:
        word = rng.choice(words)
        begin = rng.randrange(len(word))
        blank, sign = rng.choice(["", " "]), rng.choice(["", "", '"', '",', "1", ": ", "}", "ing"])
        tokens.add((blank + word[begin : begin + rng.randint(1, 6)] + sign).encode())
    listed = sorted(tokens)
    rng.shuffle(listed)
    vocabulary = Vocabulary.of_bytes()  # a stand-in, whose texts are given
    object.__setattr__(vocabulary, "_token_texts", TokenTexts(listed, listed))
    space = Categorical(SIZE + 1, vocabulary, SIZE)
    return SimpleNamespace(space=space, layout=None)


def cpu(call: Callable[[], object]) -> float:
    """Microseconds of CPU time of one call."""
    begin = time.thread_time()
    call()
    return (time.thread_time() - begin) * 1e6


def measured(constraint: Constraint, of: SimpleNamespace) -> dict[str, list[float]]:
    """Microseconds of the masks along some random sequences that keep the constraint."""
    found: dict[str, list[float]] = {"new": [], "known": [], "step": []}
    found["compiled"] = [cpu(lambda: constraint.compiled(of))]  # type: ignore[arg-type]
    acceptor = constraint.compiled(of)  # type: ignore[arg-type]
    for run in range(RUNS):
        rng, state = np.random.default_rng(run), acceptor.start
        for _ in range(60):
            found["new"].append(cpu(lambda s=state: acceptor.forbidden(s)))
            found["known"].append(cpu(lambda s=state: acceptor.forbidden(s)))
            symbol = int(rng.choice(np.flatnonzero(~acceptor.forbidden(state).numpy())))
            found["step"].append(cpu(lambda s=state, x=symbol: acceptor.step(s, x)))
            state = acceptor.step(state, symbol)
            if state is ENDED:
                break
    return found


def main() -> None:
    torch.set_num_threads(1)
    of, row = law(), torch.randn(1, SIZE + 1)
    softmax = float(np.median([cpu(lambda: torch.log_softmax(row, -1)) for _ in range(60 * RUNS)]))
    print(f"{SIZE:,} tokens; one softmax of a row: {softmax:.0f} us")
    for name, constraint in CONSTRAINTS.items():
        found = measured(constraint, of)
        parts = [
            f"{kind} {np.median(values):.0f} us (nine in ten below {np.quantile(values, 0.9):.0f})"
            for kind, values in found.items()
        ]
        print(f"{name}: {'; '.join(parts)}")
