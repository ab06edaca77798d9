"""`eager/generated.py` is what the records' signatures say now."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusewire.eager import generate
from fusewire.ir.op import OPS


def test_the_committed_text_is_what_the_records_give() -> None:
    written = Path(generate.__file__).with_name("generated.py").read_text()
    assert written == generate.generate(), "records changed: run `python -m fusewire.eager.generate`"


def test_every_function_is_a_method_and_is_found_beside_those_of_neural_networks() -> None:
    from fusewire import Tensor
    from fusewire.eager import generated
    from fusewire.nn import functional

    for name in generated.__all__:
        assert callable(getattr(functional, name)), name
        assert name == "cat" or hasattr(Tensor, name), name
    assert functional.relu is not generated.relu  # where PyTorch has another one there, that one
    with pytest.raises(AttributeError, match="has no attribute 'no_such_function'"):
        functional.no_such_function  # noqa: B018


def test_two_records_cannot_be_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(OPS, "plus", replace(OPS["add"], name="plus"))
    with pytest.raises(ValueError, match="two records are one of Python's operators"):
        generate.generate()
