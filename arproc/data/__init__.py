"""The user's data in and out: arrays, text and its symbols, tables, pictures."""
