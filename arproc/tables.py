"""Tables: rows whose columns have kinds of their own, and may have missing entries."""

from arproc.data.tables import KINDS, Column, Kind, Lattice, Table, read_table, table_of

__all__ = ["KINDS", "Column", "Kind", "Lattice", "Table", "read_table", "table_of"]
