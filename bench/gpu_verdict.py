"""The measures that the GPU back end is judged by, read off measured rows: asked, measured, held or not. Measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .gpu_sections import PLAIN
from .row import Row

#: a comparison within this share of the other's time is a draw
DRAW = 1.02
_COMPILE = ("torch.compile", "torch.compile reduce-overhead", "torch.compile max-autotune")


@dataclass(frozen=True)
class Measure:
    """`held`: None where it could not be measured."""

    name: str
    asked: str
    measured: str
    held: bool | None

    def line(self) -> str:
        """A row of the table."""
        return f"| {self.name} | {self.asked} | {self.measured} | {'-' if self.held is None else 'yes' if self.held else 'NO'} |"


def table(rows: Sequence[Row]) -> str:
    """All measures as Markdown."""
    lines = [m.line() for m in measures(rows)]
    return "\n".join(["| measure | asked | measured | held |", "| --- | --- | --- | --- |", *lines])


def measures(rows: Sequence[Row]) -> list[Measure]:
    """Each measure, in the order in which they were asked for."""
    by = {row.name: row for row in rows}
    flat = [by[name] for name in (f"flat: {n}" for n in PLAIN) if name in by]
    found = [_checks(by), _records(by), *_flat(flat)]
    for n in (4096, 8192):
        found.append(_product(n, by))
    forward = [row for name, row in by.items() if name.startswith("attention: causal, forward, ")]
    found.append(_worst("attention forward, causal", "85% of PyTorch's best", forward, _of_best, 0.85))
    gpts = [row for name, row in by.items() if name.startswith("model: GPT")]
    for kind in ("inference", "training step"):
        some = [row for row in gpts if row.name.endswith(kind)]
        found.append(_worst(f"GPT {kind}", "no slower than torch.compile", some, _against_compile, 1 / DRAW))
    launch = [row for name, row in by.items() if name == "host: 10 products"]
    return [*found, _worst("launching a graph of 10 kernels", "against torch.compile", launch, _against_compile, 1 / DRAW)]


def _checks(by: dict[str, Row]) -> Measure:
    checks = [row for name, row in by.items() if name.startswith("check: ")]
    wrong = [row.name.removeprefix("check: ") for row in checks if row.facts.get("error")]
    text = f"{len(checks) - len(wrong)} of {len(checks)}" + (f"; not {', '.join(wrong)}" if wrong else "")
    return Measure("the driver's layer", "every check", text, None if not checks else not wrong)


def _records(by: dict[str, Row]) -> Measure:
    row = by.get("records")
    if row is None or not row.facts.get("samples"):
        return Measure("records beside the CPU", "all samples", "not run", None)
    f = row.facts
    text = (f"{f['records']} records, {f['samples']} eager, {f['compiled']} compiled, {f['gradients']} gradients: "
            f"{f['wrong']} differ")  # fmt: skip
    return Measure("records beside the CPU", "all samples", text, not f["wrong"])


def _flat(rows: Sequence[Row]) -> Iterable[Measure]:
    yield _worst("pointwise and reductions", "90% of copy bandwidth", rows, lambda r: r.facts.get("of_copy"), 0.9)
    yield _worst("pointwise and reductions", "no slower than torch.compile", rows, _against_compile, 1 / DRAW)


def _product(n: int, by: dict[str, Row]) -> Measure:
    """The better of the two modes."""
    name = f"product: relu(a @ b + bias), bfloat16, {n}"
    rows = [by[found] for found in (name, f"{name}, max-autotune") if found in by]
    best = sorted(rows, key=lambda r: r.facts.get("of_cublas", 0.0))[-1:]
    return _worst(f"bf16 product and epilogue, {n}", "90% of cuBLAS", best, lambda r: r.facts.get("of_cublas"), 0.9)


def _of_best(row: Row) -> float | None:
    return row.facts.get("of_best")


def _ours(row: Row) -> float | None:
    found = [t for name, t in row.values.items() if name.startswith("fusewire")]
    return min(found) if found else None


def _against_compile(row: Row) -> float | None:
    """How many times as long torch.compile's best mode took as our best."""
    ours, theirs = _ours(row), [row.values[name] for name in _COMPILE if name in row.values]
    return min(theirs) / ours if ours and theirs else None


def _worst(name: str, asked: str, rows: Sequence[Row], share: Callable[[Row], float | None], least: float) -> Measure:
    """The row with the smallest share decides; it is named where there are several."""
    found = [(value, row.name) for row in rows if (value := share(row)) is not None]
    failed = [row.name for row in rows if _ours(row) is None]
    if failed or not found:
        return Measure(name, asked, f"{'failed: ' + ', '.join(failed) if failed else 'not measured'}", False if failed else None)
    value, where = min(found)
    more = f" ({where.partition(': ')[2]}; best {max(found)[0]:.2f})" if len(found) > 1 else ""
    return Measure(name, asked, f"{value:.2f}{more}", value >= least)
