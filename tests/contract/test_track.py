"""`Track` against the plainest model of it: a list of lists."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from arproc.contract.track import Track

SHAPES = {"scalar": ((), torch.int64), "vector": ((2,), torch.float64)}


def element(value: int, shape: tuple[int, ...]) -> list:
    return [value + 1000 * i for i in range(shape[0])] if shape else value


class Histories(RuleBasedStateMachine):
    """Tracks that grow out of each other in random order, each beside its list of lists."""

    tracks = Bundle("tracks")
    counter = 0

    def fresh(self, n: int) -> list:
        values = [element(self.counter + i + 1, self.shape) for i in range(n)]
        self.counter += n
        return values

    def tensor(self, values: list, n: int, *extra: int) -> torch.Tensor:
        return torch.tensor(values, dtype=self.dtype).reshape(n, *extra, *self.shape)

    @initialize(kind=st.sampled_from(sorted(SHAPES)))
    def setup(self, kind):
        self.shape, self.dtype = SHAPES[kind]
        self.seen = []

    def keep(self, track: Track, rows: list[list]):
        self.seen.append((track, [list(row) for row in rows]))
        return track, rows

    @rule(target=tracks, n=st.integers(0, 4))
    def empty(self, n):
        return self.keep(Track.empty(n, self.shape, self.dtype, "cpu"), [[] for _ in range(n)])

    @rule(target=tracks, pair=tracks)
    def append(self, pair):
        track, rows = pair
        new = self.fresh(len(rows))
        longer = track.append(self.tensor(new, len(rows)))
        return self.keep(longer, [[*row, x] for row, x in zip(rows, new, strict=True)])

    @rule(target=tracks, pair=tracks, data=st.data(), count=st.integers(0, 4))
    def extend(self, pair, data, count):
        track, rows = pair
        taken = data.draw(st.none() | st.lists(st.integers(0, count), min_size=len(rows),
                                               max_size=len(rows)))  # fmt: skip
        new = [self.fresh(count) for _ in rows]
        lengths = None if taken is None else torch.tensor(taken, dtype=torch.int64)
        longer = track.extend(self.tensor(new, len(rows), count), lengths)
        counts = [count] * len(rows) if taken is None else taken
        return self.keep(
            longer, [row + x[:k] for row, x, k in zip(rows, new, counts, strict=True)]
        )

    @rule(target=tracks, pair=tracks, data=st.data())
    def select(self, pair, data):
        track, rows = pair
        chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=5)) if rows else []
        picked = track.select(torch.tensor(chosen, dtype=torch.int64))
        return self.keep(picked, [rows[i] for i in chosen])

    @rule(target=tracks, pair=tracks, data=st.data())
    def truncate(self, pair, data):
        track, rows = pair
        lengths = [data.draw(st.integers(0, len(row))) for row in rows]
        cut = track.truncate(torch.tensor(lengths, dtype=torch.int64))
        return self.keep(cut, [row[:k] for row, k in zip(rows, lengths, strict=True)])

    @rule(pair=tracks, count=st.integers(0, 6), padding=st.sampled_from([0, -7]))
    def tail(self, pair, count, padding):
        track, rows = pair
        missing = [padding] * self.shape[0] if self.shape else padding
        want = [[missing] * (count - len(row)) + row[len(row) - min(count, len(row)) :]
                for row in rows]  # fmt: skip
        got = track.tail(count, padding)
        assert got.dtype == self.dtype
        assert torch.equal(got, self.tensor(want, len(rows), count))

    def teardown(self):
        """Whatever came later, every track still holds what it held."""
        for track, rows in getattr(self, "seen", []):
            check(track, rows)


def check(track: Track, rows: list[list]) -> None:
    lengths = [len(row) for row in rows]
    assert track.n == len(rows)
    assert track.lengths.tolist() == lengths
    assert track.lengths.dtype == torch.int64
    if track.uniform_length is not None:
        assert set(lengths) <= {track.uniform_length}
    x, counts = track.padded()
    assert counts.tolist() == lengths
    assert x.shape[1] == max(lengths, default=x.shape[1])
    assert [x[i, :k].tolist() for i, k in enumerate(lengths)] == rows


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("length", [0, 3])
def test_no_rows_have_no_slots_after_they_were_cut(length):
    none = torch.zeros(0, dtype=torch.int64)
    track = Track.empty(0, (2,), torch.float64, "cpu").extend(torch.zeros(0, length, 2))
    assert track.slots.shape == (0, length, 2)
    cut = track.truncate(none)
    assert cut.slots.shape == (0, 0, 2)
    assert cut.lengths.tolist() == []
    assert cut.tail(2).shape == (0, 2, 2)
    assert cut.append(torch.zeros(0, 2)).slots.shape == (0, 1, 2)


def test_forks_share_their_past_and_not_their_future():
    base = Track.empty(1, (), torch.int64, "cpu").extend(torch.arange(40)[None])
    left, right = base.append(torch.tensor([1])), base.append(torch.tensor([2]))
    assert left.slots[0, -1] == 1
    assert right.slots[0, -1] == 2
    assert base.lengths.tolist() == [40]


def test_growing_by_one_copies_rarely():
    track = Track.empty(1, (), torch.int64, "cpu")
    places = set()
    for i in range(1000):
        track = track.append(torch.tensor([i]))
        places.add(track.slots.data_ptr())
    assert len(places) < 12
    assert track.slots[0].tolist() == list(range(1000))


def test_gradients_flow_through_every_operation():
    x = torch.arange(1.0, 7.0, requires_grad=True)
    track = Track.empty(2, (), torch.float32, "cpu").extend(x[:4].reshape(2, 2))
    track = track.append(x[4:]).truncate(torch.tensor([3, 2])).select(torch.tensor([1, 0, 0]))
    (track.tail(2) * torch.tensor([1.0, 10.0])).sum().backward()
    # rows now: [x3, x4], [x1, x2, x5] twice
    assert x.grad.tolist() == [0.0, 2.0, 1.0, 10.0, 20.0, 0.0]


@pytest.mark.parametrize("view", ["tail", "slots", "padded"])
def test_what_autograd_saved_survives_later_elements(view):
    """A parameter's gradient through an early state is right after later ones were made."""
    weight = torch.tensor(2.0, requires_grad=True)
    track, total = Track.empty(1, (), torch.float32, "cpu"), 0.0
    for i in range(20):
        track = track.append(torch.tensor([float(i)]))
        seen = {"tail": track.tail(1), "slots": track.slots, "padded": track.padded()[0]}[view]
        total = total + (seen[:, -1] * weight).sum()
    total.backward()
    assert weight.grad == sum(range(20))


def test_no_gradient_is_recorded_without_grad_mode():
    x = torch.ones(1, 3, requires_grad=True)
    with torch.no_grad():
        track = Track.empty(1, (), torch.float32, "cpu").extend(x)
        track = track.append(x[:, 0])
    assert not track.slots.requires_grad
