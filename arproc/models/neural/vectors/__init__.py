"""Densities of vectors and tables: MADE, NADE, MAF."""
