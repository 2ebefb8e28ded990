"""Which keywords of JSON Schema are kept; all others are refused wherever they stand."""

from __future__ import annotations

from typing import Any

from arproc.errors import ParameterError

__all__ = ["check_schema"]

#: Keywords that say something about the values, and are kept.
_KEPT = {
    "type", "enum", "const", "anyOf", "allOf", "$ref", "$anchor", "$id",
    "properties", "patternProperties", "additionalProperties", "required",
    "minProperties", "maxProperties", "items", "prefixItems", "additionalItems",
    "minItems", "maxItems", "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "$defs", "definitions",
}  # fmt: skip
#: Keywords that say nothing about them.
_NOTES = {"title", "description", "default", "examples", "$schema", "$comment", "deprecated",
          "readOnly", "writeOnly"}  # fmt: skip
_TABLES = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "prefixItems")
_SINGLE = ("additionalProperties", "additionalItems", "items")


def check_schema(schema: Any, at: str = "schema") -> None:
    """Raise `ParameterError` for what is no schema, or has a keyword that is not kept.

    Example:
        >>> check_schema({"type": "array", "items": {"maxLenght": 3}})
        Traceback (most recent call last):
        arproc.errors.ParameterError: schema.items has the keyword 'maxLenght', which is not ...
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict) or not all(isinstance(key, str) for key in schema):
        raise ParameterError(f"{at} must be a dict of keywords, True or False; got {schema!r}.")
    for key, value in schema.items():
        if key not in _KEPT | _NOTES:
            raise ParameterError(
                f"{at} has the keyword {key!r}, which is not supported and would have to be "
                f"dropped. Known are {', '.join(sorted(_KEPT))}."
            )
        if key in _TABLES and isinstance(value, dict):
            for name, inner in value.items():
                check_schema(inner, f"{at}.{key}.{name}")
        elif key in _LISTS and isinstance(value, list):
            for number, inner in enumerate(value):
                check_schema(inner, f"{at}.{key}[{number}]")
        elif key in _SINGLE:
            for inner in value if isinstance(value, list) else [value]:
                check_schema(inner, f"{at}.{key}")
