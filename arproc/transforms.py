"""Changes of variables: processes of transformed values, likelihoods on the user's own scale."""

from arproc.models.transformed.base import Composed, Transform
from arproc.models.transformed.box_cox import BoxCox
from arproc.models.transformed.difference import Difference
from arproc.models.transformed.elementwise import Log, Standardize
from arproc.models.transformed.process import Transformed

__all__ = ["BoxCox", "Composed", "Difference", "Log", "Standardize", "Transform", "Transformed"]
