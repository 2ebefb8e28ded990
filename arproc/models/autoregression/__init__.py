"""Linear and classical time-series processes: AR and what it is built from."""
