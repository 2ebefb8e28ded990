"""Tables: rows whose columns have kinds of their own, and may have missing entries.

`Table` is the space of a row; `table_of` reads a DataFrame's or an array's columns into one;
`frames` turns DataFrames into numbers and back.
"""

from arproc.data.tables.columns import table_of
from arproc.data.tables.files import read_table
from arproc.data.tables.kinds import KINDS, Kind
from arproc.data.tables.lattice import Lattice
from arproc.data.tables.space import Column, Table

__all__ = ["KINDS", "Column", "Kind", "Lattice", "Table", "read_table", "table_of"]
