"""A module's call with other tensors in the places of its parameters and buffers, which it has back afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .module import Module


def functional_call(
    module: Module, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)`` with the tensors of a dict (or of several) by dotted name in place of its own. With
    `tie_weights` a tensor that the module has under several names is replaced under all of them; with `strict` each of the
    module's names must be given and no other (RuntimeError)."""
    given = _merged(parameter_and_buffer_dicts)
    owners = module.named_modules(remove_duplicate=False)
    places = {name: fields for prefix, m in owners for name, fields in _own(prefix, m)}
    if strict:
        missing, unexpected = places.keys() - given.keys(), given.keys() - places.keys()
        if missing or unexpected:
            raise RuntimeError(f"functional_call: missing keys {sorted(missing)}, unexpected keys {sorted(unexpected)}")
    for name in given:
        if name not in places:
            raise AttributeError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    swaps = dict(given)
    if tie_weights:
        by_tensor = {places[name][name.rpartition(".")[2]]: value for name, value in given.items()}
        for name, value in given.items():
            if by_tensor[places[name][name.rpartition(".")[2]]] is not value:
                raise ValueError(f"functional_call got multiple values for keys that are tied to {name!r}; use tie_weights=False")
        for name, fields in places.items():
            held = fields[name.rpartition(".")[2]]
            if held is not None and held in by_tensor:
                swaps.setdefault(name, by_tensor[held])
    slots = {name: (places[name], name.rpartition(".")[2]) for name in swaps}
    before = {name: fields[key] for name, (fields, key) in slots.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        put(slots, swaps)
        return module(*args, **(kwargs or {}))
    finally:
        put(slots, before)


def put(slots: dict[str, tuple[dict[str, Any], str]], values: dict[str, Any]) -> None:
    """Store each of `values` in the slot of its name, a dict and a key."""
    for name, (fields, key) in slots.items():
        fields[key] = values[name]


def _merged(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        return given
    if not isinstance(given, Sequence) or not all(isinstance(d, dict) for d in given):
        raise ValueError(f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(given)}")
    merged: dict[str, Any] = {}
    for d in given:
        twice = merged.keys() & d.keys()
        if twice:
            raise ValueError(f"{sorted(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        merged.update(d)
    return merged


def _own(prefix: str, module: Module) -> list[tuple[str, dict[str, Any]]]:
    """(dotted name, the dict it lies in) of the module's own parameters and buffers."""
    start = f"{prefix}." if prefix else ""
    dicts: list[Any] = [module._parameters, module._buffers]
    return [(f"{start}{name}", fields) for fields in dicts for name in fields]
