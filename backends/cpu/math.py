"""stub"""
from __future__ import annotations
from .lanes import Lanes
class Real:
    def __init__(self, lanes: Lanes, e: str) -> None:
        self.lanes, self.e = lanes, e
def todo(f: Real, *a: str) -> str:
    raise NotImplementedError
exp = expm1 = log = log1p = sin = cos = tanh = erf = power = python_mod = todo
