"""``x[index]`` and ``x[index] = value``. A placeholder of records that follow; replaced below."""

from __future__ import annotations

from typing import Any


def get(x: Any, index: Any) -> Any:
    raise NotImplementedError


def put(x: Any, index: Any, value: Any) -> None:
    raise NotImplementedError
