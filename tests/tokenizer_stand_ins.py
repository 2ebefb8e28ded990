"""What arproc calls of tokenizers, sentencepiece, transformers and tiktoken, as they document it.

The tokens come by longest match from small tables rather than by training; what the methods take,
give and refuse is as in the libraries.
"""

from __future__ import annotations

import json

TEXT = ["a naïve café", "naïve 🙂 cafés, a", "the  café ", "🙂🙂 é"]
_PIECES = ["na", "ïv", "caf", " a", " caf", " n", "the", "aï"]


def _split(raw, table):
    out, at = [], 0
    longest = max(map(len, table))
    while at < len(raw):
        size = next((n for n in range(longest, 0, -1) if raw[at : at + n] in table), 1)
        out.append(raw[at : at + size])
        at += size
    return out


def _table():
    """All bytes, then pieces of several, as byte-level tokenizers have them; one cuts "ï"."""
    whole = [piece.encode() for piece in _PIECES]
    return [bytes([i]) for i in range(256)] + whole + ["🙂".encode()[:2], b" \xf0\x9f"]


class Encoding:
    """tokenizers.Encoding: ids and offsets in characters."""

    def __init__(self, ids, offsets):
        self.ids, self.offsets = ids, offsets


class Tokenizer:
    """tokenizers.Tokenizer: byte-level BPE with trimmed offsets, and [CLS] and [SEP] around."""

    def __init__(self, special=("[CLS]", "[SEP]")):
        self.special = list(special)
        self.tokens = _table()
        self.truncation = self.padding = None

    @staticmethod
    def from_str(text):
        value = json.loads(text)
        made = Tokenizer(value["special"])
        made.truncation = value["truncation"]
        return made

    def to_str(self, pretty=False):
        return json.dumps({"special": self.special, "truncation": self.truncation})

    def enable_truncation(self, max_length):
        self.truncation = {"max_length": max_length}

    def no_truncation(self):
        self.truncation = None

    def no_padding(self):
        self.padding = None

    def get_vocab_size(self, with_added_tokens=True):
        return len(self.tokens) + (len(self.special) if with_added_tokens else 0)

    def encode(self, sequence, pair=None, is_pretokenized=False, add_special_tokens=True):
        number = {token: i for i, token in enumerate(self.tokens)}
        begins = [i for i, letter in enumerate(sequence) for _ in letter.encode()]
        ids, offsets, at = [], [], 0
        for token in _split(sequence.encode(), number):
            begin, end = begins[at], begins[at + len(token) - 1] + 1
            if token[:1] == b" " and len(token) > 1:
                begin += 1
            ids.append(number[token])
            offsets.append((begin, end))
            at += len(token)
        if self.truncation:
            ids = ids[: self.truncation["max_length"]]
            offsets = offsets[: len(ids)]
        if add_special_tokens:
            n = len(self.tokens)
            ids, offsets = [n, *ids, n + 1], [(0, 0), *offsets, (0, 0)]
        return Encoding(ids, offsets)

    def decode(self, ids, skip_special_tokens=True):
        special = [] if skip_special_tokens else [token.encode() for token in self.special]
        known = [*self.tokens, *special]
        return b"".join(known[i] for i in ids if i < len(known)).decode("utf-8", "replace")


class PreTrainedTokenizerFast:
    """transformers' fast tokenizers: ids with special tokens, and a vocab_size without them."""

    def __init__(self, tokenizer_object):
        self.backend_tokenizer = tokenizer_object
        self.vocab_size = tokenizer_object.get_vocab_size(with_added_tokens=False)

    def __len__(self):
        return self.backend_tokenizer.get_vocab_size()

    def encode(self, text, add_special_tokens=True, **kwargs):
        return self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, token_ids, skip_special_tokens=False, **kwargs):
        text = self.backend_tokenizer.decode(token_ids, skip_special_tokens)
        return text.replace(" ,", ",")  # clean_up_tokenization_spaces


class _Piece:
    def __init__(self, number, begin, end):
        self.id, self.begin, self.end = number, begin, end


class _Proto:
    def __init__(self, pieces):
        self.pieces = pieces


class SentencePieceProcessor:
    """sentencepiece's up to 0.2.1: U+2581 for blanks, one in front, runs of blanks made one."""

    def __init__(self, model_file=None, model_proto=None, add_bos=False):
        self._proto = model_proto or json.dumps([*"▁naïvecfté🙂,sh", "▁a", "▁caf", "ïve"]).encode()
        self.pieces = ["<unk>", "<s>", "</s>", *json.loads(self._proto)]
        self._add_bos = add_bos

    def serialized_model_proto(self):
        return self._proto

    def get_piece_size(self):
        return len(self.pieces)

    vocab_size = piece_size = __len__ = get_piece_size

    def encode(
        self, input, out_type=None, add_bos=None, add_eos=None, reverse=None,
        emit_unk_piece=None, enable_sampling=None,
    ):  # fmt: skip
        at, letters = [], []
        for i, letter in enumerate(" " + input.strip(" ") if input.strip(" ") else ""):
            if letter == " " and letters[-1:] == ["▁"]:
                at[-1] = (at[-1][0], i)
                continue
            letters.append("▁" if letter == " " else letter)
            at.append((max(i - 1, 0), i))
        found, begin = [], 0
        for piece in _split("".join(letters), self.pieces):
            spans = at[begin : begin + len(piece)]
            number = self.pieces.index(piece) if piece in self.pieces else 0
            found.append(_Piece(number, spans[0][0], spans[-1][1]))
            begin += len(piece)
        if out_type == "immutable_proto":
            return _Proto(found)
        if out_type is not int:
            raise AssertionError("only int and immutable_proto are stood in for")
        bos = self._add_bos if add_bos is None else add_bos
        return [*([1] if bos else []), *(piece.id for piece in found)]

    def decode(self, input, out_type=str):
        return "".join(self.pieces[i] for i in input).replace("▁", " ").removeprefix(" ")


class TiktokenEncoding:
    """tiktoken.Encoding."""

    def __init__(self, name, *, pat_str, mergeable_ranks, special_tokens):
        self.name, self._pat_str = name, pat_str
        self._mergeable_ranks, self._special_tokens = mergeable_ranks, special_tokens
        self._bytes = {rank: token for token, rank in mergeable_ranks.items()}

    @property
    def n_vocab(self):
        return max([*self._bytes, *self._special_tokens.values()]) + 1

    def encode_ordinary(self, text):
        return [self._mergeable_ranks[t] for t in _split(text.encode(), self._mergeable_ranks)]

    def encode(self, text, *, allowed_special=frozenset(), disallowed_special="all"):
        for token in self._special_tokens:
            if token in text:
                raise ValueError(f"Encountered text corresponding to disallowed special {token}.")
        return self.encode_ordinary(text)

    def decode(self, tokens, errors="replace"):
        return b"".join(self._bytes[t] for t in tokens).decode("utf-8", errors)

    def decode_single_token_bytes(self, token):
        return self._bytes[token]


def tiktoken():
    ranks = {token: rank for rank, token in enumerate(_table())}
    special = {"<|endoftext|>": len(ranks) + 3}
    return TiktokenEncoding("small", pat_str=r"\S+", mergeable_ranks=ranks, special_tokens=special)
