"""Constraints on what is drawn: regular expressions, grammars, automata, sets by position."""

from arproc.sampling.constraints.automaton import AllowedAt, Automaton, Regex
from arproc.sampling.constraints.constraint import Constraint
from arproc.sampling.constraints.grammar import Grammar, JSONSchema
from arproc.sampling.constraints.masking import Constrain

__all__ = ["AllowedAt", "Automaton", "Constrain", "Constraint", "Grammar", "JSONSchema", "Regex"]
