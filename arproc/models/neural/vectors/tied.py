"""Frames of notes: one small network for every site, which sees what lies around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.storable import StorableModule
from arproc.models.neural.vectors.networks import plain

__all__ = ["TiedFrames"]

#: What the network is told of a site beside its surroundings, see `TiedFrames.counts`.
_COUNTS = 4
#: A count of notes times this is about one.
_SMALL = 0.25


class TiedFrames(StorableModule):
    r"""The law of a frame of zeros and ones given the frames before it, with tied weights.

    The sites are scored from the lowest to the highest by the chain rule. Each has the same
    network (Johnson 2017, "Generating polyphonic music using tied parallel networks"): it
    sees, at their distance from its own site, the sites of the last `window` frames and those
    below it in this frame; how often each class of sites modulo the octave sounded lately; and
    how many sites of this frame are on already. So a chord is as likely where all of it lies
    higher, but for what each site learns of itself: `place`, added to its units. With `recalls`
    it sees a frame that is expected, too, and how much speaks for it.

    What came before is given by numbers [N, context]: the expected frame, if any, and the window,
    oldest frame first; what is remembered of the classes [octave]; what speaks for the expected
    frame [2]; and `side` numbers that are added to the units.

    Args:
        sites: of a frame.
        window: how many frames before it are seen.
        reach: how far a site sees to either side.
        octave: how many sites make an octave.
        width: how many units each site has in each of two layers.
        dropout: the share of units that is dropped in training, the same in all sites of a frame;
            of the notes of the frames before, a third of that share goes unheard.
        recalls: whether a frame is expected.

    Example:
        >>> frames = TiedFrames(sites=5, window=2, reach=1, octave=3, width=4)
        >>> frames.terms(torch.ones(7, 5), torch.zeros(7, frames.context)).shape
        torch.Size([7, 5])
    """

    def __init__(
        self,
        sites: int,
        window: int,
        reach: int,
        octave: int,
        width: int,
        dropout: float = 0.0,
        recalls: bool = False,
    ) -> None:
        super().__init__()
        self.sites, self.window, self.reach, self.octave = sites, window, reach, octave
        self.width, self.dropout, self.seen = width, dropout, window + recalls
        self.below = reach + octave // 2  # a chord is wider than a step
        self.past = nn.Conv1d(self.seen, width, 2 * reach + 1, padding=reach)
        self.now = nn.Conv1d(1, width, self.below, bias=False)
        self.classes = nn.Linear(2 * octave, width, bias=False)
        self.count = nn.Linear(_COUNTS, width, bias=False)
        self.faith = nn.Linear(2, width, bias=False) if recalls else None
        self.place = nn.Parameter(torch.zeros(sites, width))
        self.inner = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        with torch.no_grad():
            self.out.bias.fill_(-2.0)  # most notes are silent

    @property
    def context(self) -> int:
        """How many numbers say what came before."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """How many of these are frames, classes, of the expected frame, and `side`."""
        return self.seen * self.sites, self.octave, 0 if self.faith is None else 2, self.width

    def folded(self, x: Tensor) -> Tensor:
        """How many sites of each class modulo the octave are on, [..., octave]."""
        short = -self.sites % self.octave
        return F.pad(x, (0, short)).unflatten(-1, (-1, self.octave)).sum(-2)

    def terms(self, x: Tensor, context: Tensor) -> Tensor:
        """The chain rule's terms [N, sites] of frames x [N, sites], nats."""
        x = x.to(self.out.weight.dtype)
        so_far = x.cumsum(1) - x
        lower = F.pad(x, (self.below, 0))[:, None, :-1]
        units = self.before(context) + self.now(lower).transpose(1, 2) + self.counts(so_far)
        return -F.binary_cross_entropy_with_logits(self.finished(units), x, reduction="none")

    @torch.no_grad()
    def draw(self, u: Tensor, context: Tensor) -> Tensor:
        """The frames [N, sites] that uniforms u [N, sites] stand for: on where u is high."""
        from arproc.compiled.interpreted import suited
        from arproc.models.neural.vectors import tied_kernels

        told = self.count.weight[:, 2:].T * self.count.weight.new_tensor([[_SMALL], [1.0]])
        kernels = suited(tied_kernels, u.numel() * self.width * (self.width + 4.0))
        drawn = kernels.draw(
            plain(self.before(context)),
            plain(u),
            plain(self.now.weight[:, 0].T.flip(0)),
            plain(told),
            plain(self.inner.weight.T),
            plain(self.inner.bias),
            plain(self.out.weight[0]),
            float(self.out.bias),
        )
        return torch.from_numpy(drawn)

    def before(self, context: Tensor) -> Tensor:
        """What the frames before say to each site, [N, sites, width]."""
        frames, lately, faith, side = context.split(self.parts, dim=1)
        side = side if self.faith is None else side + self.faith(faith)
        frames = frames.unflatten(1, (self.seen, self.sites))
        if self.training and self.dropout:
            frames = F.dropout(frames, self.dropout / 3)
        last = frames[:, -1]
        left = last.flip(1).cumsum(1).flip(1)  # of the last frame, from this site on
        counts = torch.stack([left, last.sum(1, keepdim=True).expand_as(left)], dim=2) * _SMALL
        units = self.past(frames).transpose(1, 2) + self.place + side[:, None]
        units = units + F.linear(counts, self.count.weight[:, :2])
        # of each class of sites the counts of the classes from its own on
        turned = torch.arange(self.octave, device=context.device)
        turned = (turned[:, None] + turned) % self.octave
        around = torch.cat([self.folded(last)[:, turned], lately[:, turned]], dim=2)
        repeats = -(-self.sites // self.octave)
        return units + self.classes(around).repeat(1, repeats, 1)[:, : self.sites]

    def counts(self, so_far: Tensor) -> Tensor:
        """What the number of lower sites that are on, [N, sites], says: [N, sites, width]."""
        none = (so_far == 0).to(so_far.dtype)
        counts = torch.stack([so_far * _SMALL, none], dim=-1)
        return F.linear(counts, self.count.weight[:, 2:])

    def finished(self, units: Tensor) -> Tensor:
        """The log-odds [N, sites] of sites with these inputs [N, sites, width]."""
        units = self._dropped(F.relu(units))
        units = self._dropped(units + F.relu(self.inner(units)))
        return self.out(units)[..., 0]

    def _dropped(self, units: Tensor) -> Tensor:
        if not self.training or not self.dropout:
            return units
        kept = torch.rand((len(units), 1, units.shape[2]), device=units.device) >= self.dropout
        return units * (kept / (1.0 - self.dropout))
