"""What a capture asks of the GPU back end about kernels that users have written for Triton: names, types, what they write, and
which configuration of `triton.autotune` is the fastest. Records nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.ops.creation import full
from ..runtime.gpu import device as devices
from ..runtime.meta import Meta
from .executor import recording


def entered(kernel: Any) -> str:
    """What a kernel (triton.JITFunction) is called in graphs; known by that from now on."""
    from ..backends.gpu import user_functions

    return user_functions.enter(kernel)


def pointer_type(dtype: str) -> str:
    """Triton's type of a pointer to elements of a dtype, by its name; "" where there is none."""
    from ..backends.gpu import user_functions

    return user_functions.POINTERS.get(dtype, "")


def written(
    kernel: str, places: Sequence[tuple[Any, ...]], words: Sequence[int], options: Mapping[str, Any]
) -> set[str] | None:
    """The arguments that a kernel may write to, called as the attributes of `ir.ops.launches.launched` say; None where it does
    what no graph knows of. CompileError where Triton refuses it."""
    from ..backends.gpu import builder, user_functions
    from ..backends.gpu.kernel import SM90

    arguments = user_functions.Arguments()
    for argument, what, *rest in places:
        if what == "tensor":
            arguments.pointer(argument, rest[1], rest[0], False)
        elif what == "number":
            arguments.signature[argument] = rest[1]
        elif what == "size":
            arguments.size(argument, words[rest[0]], rest[0], rest[1:], ())
        else:
            arguments.constant(argument, what, rest[0])
    started = devices.started()
    target = builder.target_of(started[0]) if started else SM90
    return user_functions.written(arguments.build(kernel, dict(options)), target)


def stand_in(device: str, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> Any:
    """A Tensor of zeros of this layout, for a measurement."""
    from .device import executor
    from .gpu import tensor_in

    span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
    memory = executor(device).apply(full, (0,), {"shape": (max(span, 1),), "dtype": dtype})
    return tensor_in(memory._storage, Meta.of(shape, strides, dtype, False, device))


def measured(tuner: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Have Triton's tuner (triton.runtime.autotuner.Autotuner) measure its configurations; no capture sees its ops."""
    with recording(None):  # type: ignore[arg-type]
        tuner.run(*args, **kwargs)
