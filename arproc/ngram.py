"""Functions of n-gram models beside the models themselves."""

from arproc.models.ngram.interpolation import interpolate

__all__ = ["interpolate"]
