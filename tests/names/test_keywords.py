"""Arguments are called as PyTorch calls them: parameter names of functions and methods beside PyTorch's own stubs."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire

#: parameters that say where and how a result is made; `out` of functions that take it by a wrapper has no place in the signature
COMMON = {"self", "layout", "pin_memory", "names", "device", "requires_grad", "out"}
#: function -> names that it does not take, and why
ALLOWED = {
    "addmm": "out_dtype", "baddbmm": "out_dtype", "bmm": "out_dtype", "mm": "out_dtype",  # mixed precision by argument: not built
    "alpha_dropout": "train", "feature_alpha_dropout": "train", "dropout": "train", "rrelu": "generator",  # as nn.functional's
    "dsplit": "sections indices", "hsplit": "sections indices", "vsplit": "sections indices",
    "tensor_split": "tensor_indices_or_sections sections indices", "unsafe_split": "input split_size", "split": "split_size",
    "embedding_bag": "indices", "gather": "sparse_grad", "group_norm": "cudnn_enabled", "layer_norm": "cudnn_enable",
    "hspmm": "mat1 mat2", "smm": "input mat2", "spmm": "input mat2", "isin": "element test_element", "ormqr": "input2 input3",
    "is_conj": "input", "is_neg": "input", "is_inference": "input", "is_signed": "input", "resolve_conj": "input",
    "resolve_neg": "input", "triangular_solve": "input", "randint_like": "memory_format", "dot": "tensor",
    "result_type": "tensor other scalar scalar1 scalar2", "copy_": "other", "new": "cls storage other size",
    "random_": "from_ to", "uniform_": "from_ to", "record_stream": "s", "requires_grad_": "mode", "round_": "decimals",
    "sum_to_size": "size", "to": "other", "swapaxes": "input",
}  # fmt: skip


def overloads(path: str, cls: str | None) -> Iterator[tuple[str, set[str]]]:
    tree = ast.parse(Path(path).read_text())
    body = tree.body if cls is None else next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls).body
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}


def missing(wanted: Iterator[tuple[str, set[str]]], find: Callable[[str], Any]) -> Iterator[str]:
    for name, words in wanted:
        found = find(name)
        try:
            given = inspect.signature(found).parameters
        except (TypeError, ValueError):
            continue
        if any(p.kind is p.VAR_KEYWORD for p in given.values()):
            continue
        lacks = words - set(given) - COMMON - set(ALLOWED.get(name, "").split())
        if lacks and not (name.endswith("_") and lacks == {"input"}):  # relu_(input) is the method here
            yield f"{name}: {' '.join(sorted(lacks))}"


def test_parameter_names() -> None:
    torch = pytest.importorskip("torch")
    folder = os.path.join(os.path.dirname(torch.__file__), "_C")
    functions = overloads(os.path.join(folder, "_VariableFunctions.pyi"), None)
    methods = overloads(os.path.join(folder, "__init__.pyi"), "TensorBase")
    found = list(missing(functions, lambda n: getattr(fusewire, n, None)))
    assert not found + list(missing(methods, lambda n: getattr(fusewire.Tensor, n, None)))
