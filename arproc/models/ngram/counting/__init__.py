"""Counting n-grams: a text's windows sorted, and the trie of all n-grams made of them."""
