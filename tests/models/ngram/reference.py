"""n-gram models written for clarity alone: dictionaries, and the formulas word for word."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product

import numpy as np

from arproc.models.ngram.arpa.read import read_arpa
from arproc.models.ngram.counting.counts import Alphabet, Counts, count_ngrams, lay_out
from arproc.models.ngram.law import NGramLaw
from arproc.models.ngram.model import NGram
from arproc.process import Fit

BEGIN = "<s>"


def alphabet(symbols, ends):
    """`symbols` symbols, and the end after them."""
    return Alphabet(symbols + int(ends), ends)


def count(sequences, order, letters) -> Counts:
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])])
    values = np.array([w for s in sequences for w in s], dtype=np.int64)
    complete = np.ones(len(sequences), dtype=bool)
    return count_ngrams(lay_out(values, offsets, complete, letters), order, letters)


def padded(sequences, letters):
    if not letters.terminates:
        return [tuple(s) for s in sequences]
    return [(BEGIN, *s, letters.end) for s in sequences]


def histories(letters, order):
    """All histories as long as the order looks back, and all shorter ones (from the start)."""
    inner = range(letters.symbols - int(letters.terminates))
    for length in range(order):
        yield from product(inner, repeat=length)


class SlowCounts:
    """Plain and adjusted counts of every n-gram, from the definition."""

    def __init__(self, sequences, order, letters):
        plain = defaultdict(Counter)
        before = defaultdict(set)
        for row in padded(sequences, letters):
            for k in range(1, order + 1):
                for i in range(len(row) - k + 1):
                    gram = row[i : i + k]
                    plain[k][gram] += 1
                    before[gram].add(row[i - 1] if i else "the beginning")
        self.plain = plain
        self.adjusted = {
            k: {
                gram: c if k == order or gram[0] == BEGIN else len(before[gram])
                for gram, c in plain[k].items()
                if gram != (BEGIN,)
            }
            for k in range(1, order + 1)
        }


class SlowKneserNey:
    """p(w | h) = (c(hw) - D)+ / c(h) + (sum of D over the words after h) / c(h) p(w | h')."""

    def __init__(self, sequences, order, letters, discounts):
        self.counts = SlowCounts(sequences, order, letters).adjusted
        self.order, self.letters, self.discounts = order, letters, discounts

    def context(self, history):
        whole = (BEGIN, *history) if self.letters.terminates else tuple(history)
        return whole[max(len(whole) - self.order + 1, 0) :]

    def probability(self, history, w):
        return self._recurse(self.context(history), w)

    def _discount(self, k, c):
        return 0.0 if c == 0 else self.discounts[k - 1][min(c, 3) - 1]

    def _recurse(self, h, w):
        k = len(h) + 1
        after = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == h}
        lower = self._recurse(h[1:], w) if h else 1.0 / self.letters.symbols
        total = sum(after.values())
        if total == 0:
            return lower
        weight = sum(self._discount(k, c) for c in after.values()) / total
        c = after.get(w, 0)
        return (c - self._discount(k, c)) / total + weight * lower


class SlowAdditive(SlowKneserNey):
    """p(w | h) = (c(hw) + alpha) / (c(h) + alpha V)."""

    def __init__(self, sequences, order, letters, alpha):
        self.counts = SlowCounts(sequences, order, letters).plain
        self.order, self.letters, self.alpha = order, letters, alpha

    def _recurse(self, h, w):
        k = len(h) + 1
        after = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == h and g != (BEGIN,)}
        total = sum(after.values()) + self.alpha * self.letters.symbols
        return (after.get(w, 0) + self.alpha) / total


class SlowMixed(SlowAdditive):
    """p(w | h) = lambda(h) c(hw) / c(h) + (1 - lambda(h)) p(w | h')."""

    def __init__(self, sequences, order, letters, weight):
        super().__init__(sequences, order, letters, 0)
        self.weight = weight  # of (length of h, c(h), how many different symbols followed)

    def after(self, h):
        k = len(h) + 1
        return {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == h and g != (BEGIN,)}

    def _recurse(self, h, w):
        after = self.after(h)
        lower = self._recurse(h[1:], w) if h else 1.0 / self.letters.symbols
        if not after:
            return lower
        total = sum(after.values())
        weight = self.weight(len(h), total, len(after))
        return weight * after.get(w, 0) / total + (1 - weight) * lower


class SlowBackOff(SlowMixed):
    """p(w | h) = what `seen` gives if hw is here, else a(h) p(w | h'), a(h) from all sums."""

    def __init__(self, sequences, order, letters, seen):
        super().__init__(sequences, order, letters, None)
        self.seen = seen  # of the counts after h and h's length: {w: p}
        self.known = {}

    def _recurse(self, h, w):
        if h not in self.known:
            self.known[h] = self._row(h)
        return self.known[h][w]

    def _row(self, h):
        symbols = range(self.letters.symbols)
        after = self.after(h)
        if not h:
            p = self.seen(after, 0)
            rest = 1 - sum(p.values())
            return {w: p.get(w, 0) + rest / len(symbols) for w in symbols}
        lower = {w: self._recurse(h[1:], w) for w in symbols}
        if not after:
            return lower
        p = self.seen(after, len(h))
        unseen = sum(lower[w] for w in symbols if w not in p)
        if unseen == 0:
            return {w: p.get(w, 0) / sum(p.values()) for w in symbols}
        weight = (1 - sum(p.values())) / unseen
        return {w: p[w] if w in p else weight * lower[w] for w in symbols}


def as_written(path, tokens="word"):
    """The model of an ARPA file with the file's own numbers, whether they add up or not."""
    trie, vocabulary = read_arpa(path, tokens)
    return NGram.of(NGramLaw.over(vocabulary, trie), Fit("text"), order=trie.order)
