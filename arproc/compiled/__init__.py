"""How compiled loops are made, cached and run on all cores."""
