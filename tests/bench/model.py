"""What the bench is made of: shapes with goals, contenders with variants. Data only.

A shape is a kind of work. Its contenders run it one after the other, again and again; a run yields figures
(FIGURES). A goal holds one contender's figure against another's of the same round, or against a number."""
import dataclasses
import typing

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

# figure: (heading, format of its value, how to show it)
FIGURES = {
    "wall": ("time s", "{:.3f}", 1),
    "rate": ("MiB/s", "{:.0f}", 1 / MIB),
    "cpu": ("CPU s", "{:.3f}", 1),
    "cpu_gib": ("CPU s/GiB", "{:.3f}", 1),
    "anon": ("anon MiB", "{:.1f}", 1 / MIB),
    "fast": ("fast one s", "{:.3f}", 1),
    "reads": ("source read", "{:.2f} ×", 1),
    "steady": ("steady MiB/s", "{:.0f}", 1 / MIB),
    "allowed": ("of allowed", "{:.3f}", 1),
    "ramp": ("ramp RTTs", "{:.1f}", 1),
    "window": ("window MiB", "{:.1f}", 1 / MIB),
    "iops": ("I/Os/s", "{:.0f}", 1),
    "p50": ("p50 us", "{:.0f}", 1),
    "p99": ("p99 us", "{:.0f}", 1),
    "p999": ("p99.9 us", "{:.0f}", 1),
    "job_bytes": ("B/job", "{:.0f}", 1),
}

OURS, PEER, LIMIT, OTHER = "ours", "peer", "limit", "other"


class Skip(Exception):
    """This shape cannot be measured here; says why."""


class Failed(Exception):
    """A copy failed, or its result differs."""


@dataclasses.dataclass(frozen=True)
class Goal:
    figure: str
    op: str  # "<=" or ">="
    value: float
    against: str | None = None  # a contender's name, "best peer" (the fastest), or None: an absolute number
    of: str = "kcopyd"

    def text(self):
        sign = {"<=": "≤", ">=": "≥"}[self.op]
        heading, form, unit = FIGURES[self.figure]
        who = "" if self.of == "kcopyd" else f"{self.of}: "
        if self.against:
            return f"{who}{heading.split()[0]} {sign} {self.value:.2f} × {self.against}"
        return f"{who}{heading} {sign} {form.format(self.value * unit)}"


@dataclasses.dataclass
class Variant:
    """One way to run a contender. `run()` returns its figures; `commands` are what is printed."""
    label: str
    commands: list
    run: typing.Callable[[], dict]


@dataclasses.dataclass
class Contender:
    """With several variants the warm-up finds the best of them, which then takes part."""
    name: str
    role: str
    variants: list


@dataclasses.dataclass
class Case:
    """A shape made ready: its servers run, its devices are filled."""
    contenders: list
    size_bytes: int
    before: typing.Callable[[int], None] = lambda number: None  # spoils the destinations; called untimed
    after: typing.Callable[[], None] = lambda: None  # compares, or raises Failed
    key: str = "wall"  # the figure by which variants and peers are chosen
    higher: bool = False  # whether more of it is better
    notes: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Shape:
    name: str
    title: str
    goals: list
    prepare: typing.Callable  # (lab, size) -> Case
    sizes: dict  # mode -> what prepare is given
    rounds: dict = dataclasses.field(default_factory=dict)  # mode -> rounds, where not the mode's own
    quick: bool = True  # part of the quick subset
    compared: bool = True  # every run ends with a comparison of what it copied
    dense: bool = False  # bytes a second say what it is about: it has its bars in the picture
