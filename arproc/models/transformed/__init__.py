"""Changes of variables: transforms, and processes of transformed values."""
