"""The table of those who train at this moment: as wide and as high as the terminal lets it be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from benchmark.events import LearnerEpoch
from benchmark.reports.escape import plain

EPOCH, TOP1, LOSS = 8, 8, 8  # signs of a column of numbers
STATE = 14  # signs that a state has at least
TERMS = 110  # signs of a line from which the terms of the loss are shown as well
LONGEST = 400  # signs of a message on one line; the record has the whole one


def common_pair(labels: Sequence[str]) -> tuple[str, list[str]]:
    """The pair, or the network, that most members have in common, and the members without it.

    Args:
        labels: ``resnet32x4→resnet8x4 kd``: a pair or a network, and a recipe.

    Returns:
        The pair, empty if no two have one; the members' names, those of others with their pair.
    """
    of = [label.partition(" ") for label in labels]
    [(pair, members)] = Counter(pair for pair, _, recipe in of if recipe).most_common(1) or [
        ("", 0)
    ]
    if members < min(len(labels), 2):
        return "", list(labels)
    return pair, [
        recipe if own == pair and recipe else f"{own}{gap}{recipe}" for own, gap, recipe in of
    ]


def short(message: str) -> str:
    """A message on one line of bearable length."""
    line = plain(message[: LONGEST + 1]).strip()
    return f"{line[:LONGEST]}…" if len(line) > LONGEST else line


def loss(terms: Mapping[str, float]) -> str:
    """The loss that is minimised: the sum of its terms; nothing if there are none."""
    return f"{sum(terms.values()):.4g}" if terms else ""


@dataclass
class Member:
    """A member of a group, as far as it is.

    Attributes:
        name: for a person.
        epoch: that is behind it.
        top1: accuracy in percent, when it was examined last; None before.
        terms: mean of every weighted loss term in the last epoch.
        error: why it left the group, if it did.
    """

    name: str
    epoch: int
    top1: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None

    def hear(self, epoch: int, news: LearnerEpoch) -> None:
        """An epoch ended."""
        self.error = news.error
        if news.error is None:
            self.epoch, self.terms = epoch, news.terms
        if news.top1 is not None:
            self.top1 = news.top1


@dataclass
class Members:
    """The members of a group.

    Attributes:
        title: of the group, with what its members have in common.
        epochs: that they train.
        of: they, in their order.
        trains: whether it has begun its first epoch.
    """

    title: str
    epochs: int
    of: Sequence[Member]
    trains: bool = False

    @classmethod
    def starting(cls, title: str, labels: Sequence[str], epochs: int, done: int) -> Members:
        """Members before their first epoch here."""
        pair, names = common_pair([plain(label) for label in labels])
        title = ", ".join(filter(None, (plain(title), pair)))
        return cls(title, epochs, [Member(name, done) for name in names])

    def hear(self, epoch: int, labels: Sequence[str], news: Sequence[LearnerEpoch]) -> None:
        """An epoch ended.

        Args:
            epoch: its number, from 1.
            labels: of all members, in their order.
            news: of those who began it.
        """
        by_label = {one.label: one for one in news}
        for label, member in zip(labels, self.of, strict=True):
            if label in by_label:
                member.hear(epoch, by_label[label])


def lines(groups: Sequence[tuple[str, Members]], width: int, height: int) -> list[Text]:
    """The table, line by line.

    Where the height is too little for all, each group shows as many members as the others, and says
    how many more there are.

    Args:
        groups: each with a mark to know its bar by, which may be empty.
        width: that it may have, in signs.
        height: that it may have, in lines.
    """
    fit = (height - 1) // 2  # a line of its title, and another one
    shown = groups if len(groups) <= fit else groups[: max(0, height - 2) // 2]
    if not shown:
        return []
    left_out = len(groups) - len(shown)
    room = height - 1 - len(shown) - (left_out > 0)
    columns = _Columns.of([member for _, members in shown for member in members.of], width)
    found = [columns.line("member", "epoch", "top-1 %", "loss", "state", style="dim")]
    shares = _shares([len(members.of) for _, members in shown], room)
    for (mark, members), share in zip(shown, shares, strict=True):
        found.append(_cut(Text(f"{mark}{members.title}", style="bold"), width))
        fits = len(members.of) if len(members.of) <= share else share - 1
        found += [columns.member(member, members) for member in members.of[:fits]]
        if fits < len(members.of):
            found.append(Text(f"  … {len(members.of) - fits} more", style="dim"))
    if left_out:
        of = "group" if left_out == 1 else "groups"
        found.append(Text(f"… {left_out} more {of}", style="dim"))
    return found


@dataclass(frozen=True)
class _Columns:
    """How wide the columns are.

    Attributes:
        name, state: of these columns; the others are as wide as their numbers.
        terms: whether there is room for the terms of the loss.
    """

    name: int
    state: int
    terms: bool

    @classmethod
    def of(cls, members: Sequence[Member], width: int) -> _Columns:
        """Names have what they need, as far as there is room; the state has the rest."""
        rest = width - 2 - EPOCH - TOP1 - LOSS - 2
        longest = max((cell_len(member.name) for member in members), default=0)
        name = max(min(longest, rest - STATE), len("member"))
        return cls(name, max(rest - name, 0), width >= TERMS)

    def line(self, name: str, *words: str, style: str = "") -> Text:
        """Words in their columns: a name, three numbers and a state."""
        *numbers, state = words
        line = Text("  ", style=style).append_text(Text(_shortened(name, self.name)))
        for number, room in zip(numbers, (EPOCH, TOP1, LOSS), strict=True):
            line.append(f"{number:>{room}}")
        return line.append("  ").append_text(_cut(Text(state), self.state))

    def member(self, member: Member, group: Members) -> Text:
        """A member in its line."""
        top1 = "" if member.top1 is None else f"{member.top1:.2f}"
        state, style = ("trains" if group.trains else "starts"), ""
        if member.error is not None:
            state, style = f"left: {short(member.error)}", "red"
        elif self.terms:
            state = "  ".join([state, *(f"{plain(k)} {v:.3g}" for k, v in member.terms.items())])
        epoch = f"{member.epoch}/{group.epochs}"
        return self.line(member.name, epoch, top1, loss(member.terms), state, style=style)


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Lines of each group, so that those who get fewer than they want get equally many."""
    shares = [0] * len(wanted)
    by_size = sorted(range(len(wanted)), key=wanted.__getitem__)
    for served, number in enumerate(by_size):
        shares[number] = min(wanted[number], room // (len(wanted) - served))
        room -= shares[number]
    return shares


def _shortened(name: str, width: int) -> str:
    """A name in so many signs: without its middle, as settings that tell names apart are behind."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    head = set_cell_size(name, width // 3)
    tail = set_cell_size(name[::-1], width - 1 - cell_len(head))[::-1]
    return f"{head}…{tail}"


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
