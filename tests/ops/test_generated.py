"""`eager/generated.py` is what the records' signatures say now."""

from __future__ import annotations

from pathlib import Path

import pytest
from fusewire.eager import generate
from fusewire.ir.op import OPS


def test_the_committed_text_is_what_the_records_give() -> None:
    written = Path(generate.__file__).with_name("generated.py").read_text()
    assert written == generate.generate(), "records changed: run `python -m fusewire.eager.generate`"


def test_two_records_cannot_be_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(OPS, "plus", replace(OPS["add"], name="plus"))
    with pytest.raises(ValueError, match="two records are one of Python's operators"):
        generate.generate()
