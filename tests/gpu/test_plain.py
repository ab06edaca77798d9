"""Kernels that differ in names alone are compiled once; what is compiled is the program that is shown."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.backends.gpu import compile as compiling
from fusewire.backends.gpu import stages
from fusewire.backends.gpu.plain import plain
from fusewire.backends.gpu.templates import routine_ways
from fusewire.backends.gpu.ways import Way, kernel_ways
from fusewire.ir.plan import RoutineStep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import fake_cuda
from random_graphs import random_graph


class Renamed(ast.NodeTransformer):
    def __init__(self, build: stages.Build, made: stages.Build) -> None:
        self.names = {**dict(zip(build.signature, made.signature, strict=True)), build.name: made.name}

    def visit_Name(self, node: ast.Name) -> Any:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.arg = self.names.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)


def builds(seed: int) -> Iterator[stages.Build]:
    """Of all kernels and templates of a random graph."""
    backend = replace(pipeline.BACKENDS["cuda"], build=lambda kernels: kernels, executable=lambda plan, code, _: (plan, code))
    plan, kernels = pipeline.compile_graph(random_graph(seed, 10)[0], backend=backend)
    ways: list[Way] = [way for kernel in kernels for way in kernel_ways(kernel)]
    ways += [way for step in plan.steps if isinstance(step, RoutineStep) for way in routine_ways(step)]
    return (job.build for way in ways for job in way.jobs)


def test_the_same_program_but_for_names() -> None:
    seen = 0
    for build in (b for seed in range(20) for b in builds(seed)):
        made = plain(build)
        wanted = Renamed(build, made).visit(ast.parse(build.text))
        assert ast.dump(ast.parse(made.text)) == ast.dump(wanted), build.text
        assert "#" not in made.text and list(made.signature.values()) == list(build.signature.values())
        assert len(made.divisible) == len(build.divisible) and set(made.divisible) <= set(made.signature)
        seen += 1
    assert seen > 50


def test_words_that_are_no_names() -> None:
    text = 'def k7_x(sum, mask, a):\n    v = tl.sum(a, mask=mask)  # sum: a\n    return v + sum == mask, "sum # mask"\n'
    made = plain(stages.Build("k7_x", text, {"sum": "i32", "mask": "i1", "a": "*fp32"}, {}, ("a",), {}))
    assert made.text == 'def k_x(_0, _1, _2):\n    v = tl.sum(_2, mask=_1)\n    return v + _0 == _1, "sum # mask"\n'
    assert made.signature == {"_0": "i32", "_1": "i1", "_2": "*fp32"} and made.divisible == ("_2",)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
def test_layers_alike_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled: list[str] = []
    run = compiling._run
    monkeypatch.setattr(compiling, "_run", lambda build, target: (compiled.append(build.name), run(build, target))[1])
    with fw.knobs.override(disk_cache=True, cache_dir=str(tmp_path)), fake_cuda.installed(triton=True, run=False) as fake:
        layers = fw.nn.Sequential(*(fw.nn.Sequential(fw.nn.Linear(64, 64), fw.nn.LayerNorm(64)) for _ in range(4))).to("cuda")
        names = len(fake.launches)
        fw.compile(layers, fullgraph=True)(fw.empty(8, 64, device="cuda"))
    launched = [name for name, *_ in fake.launches[names:]]
    assert len(launched) > len(compiled) == len(set(compiled)) and {launched.count(name) for name in compiled} >= {4}
