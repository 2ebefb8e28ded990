"""Changes of variables: processes of transformed values, likelihoods on the user's own scale."""

from arproc.transforms.base import Composed, Transform
from arproc.transforms.box_cox import BoxCox
from arproc.transforms.difference import Difference
from arproc.transforms.elementwise import Log, Standardize
from arproc.transforms.process import Transformed

__all__ = ["BoxCox", "Composed", "Difference", "Log", "Standardize", "Transform", "Transformed"]
