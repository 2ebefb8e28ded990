"""Several modalities in one sequence: captions and images, texts and their translations.

`Parts` lays items of several parts out in one alphabet; any model of symbols is fitted to that,
and under the policy `InParts` it is a law of such items.
"""

from arproc.data.parts import Levels, Part, Parts, Text
from arproc.sampling.in_parts import InParts

__all__ = ["InParts", "Levels", "Part", "Parts", "Text"]
