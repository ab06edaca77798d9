"""Triton's own stages on a printed source: text -> cubin or hsaco. The only file of the package that imports triton.

Runs the stages one by one instead of ``triton.compile``, whose cache hashes the 400 MB library in every process. Neither
PyTorch nor a driver nor a C compiler is needed.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import threading
import types
from collections.abc import Mapping
from typing import Any

from ...errors import CompileError
from ...ir.lazyclass import dataclass
from .kernel import Target

_lock = threading.RLock()
#: what keeps each op's rounding: no multiplication and addition of two ops as one, denormal numbers in the mathematical library
_EXACT = {"enable_fp_fusion": False, "enable_reflect_ftz": False}


@dataclass(frozen=True, slots=True)
class Build:
    """What Triton is given beside the text. `signature`: argument -> Triton type, "constexpr" for those in `constants`;
    `divisible`: arguments known to be multiples of 16; `options`: num_warps, num_stages. `user`: the text is the name of a kernel
    of the user's (`user_functions.find`)."""

    name: str
    text: str
    signature: Mapping[str, str]
    constants: Mapping[str, int | float | bool | None]
    divisible: tuple[str, ...]
    options: Mapping[str, Any]
    user: bool = False

    @property
    def source(self) -> str:
        """The text as a reader wants it."""
        if not self.user:
            return self.text
        from .user_functions import find

        return "".join(find(self.text).raw_src)

    def key(self) -> str:
        """All of it as text, in a fixed order."""
        parts = (sorted(self.constants.items()), sorted(self.divisible), sorted(self.options.items()))
        return f"{self.text}\n{list(self.signature.items())}\n{parts}"


@dataclass(frozen=True, slots=True)
class Built:
    """`asm`: stage ("ttir", "ttgir", "llir", "ptx", "cubin"; "amdgcn", "hsaco") -> text or bytes; `metadata`: Triton's."""

    asm: dict[str, Any]
    metadata: dict[str, Any]


def version() -> str:
    """Triton's version, from its distribution: nothing is imported."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("triton")
    except PackageNotFoundError:
        raise CompileError("the GPU back end compiles with Triton: pip install 'fusewire[gpu]'") from None


def _function(build: Build) -> Any:
    """The @triton.jit function of the text. Its lines are in `linecache`, where Triton looks for them."""
    if build.user:
        from .user_functions import find

        return find(build.text)
    digest = hashlib.sha256(build.text.encode()).hexdigest()[:16]
    file, module = f"<fusewire {build.name} {digest}>", f"fusewire_triton_{digest}"
    if module not in sys.modules:
        linecache.cache[file] = (len(build.text), None, build.text.splitlines(True), file)
        made: Any = types.ModuleType(module)
        made.__file__ = file
        sys.modules[module] = made
        try:
            exec(compile(build.text, file, "exec"), made.__dict__)
        except BaseException:
            del sys.modules[module]
            raise
    return getattr(sys.modules[module], build.name)


def _forget(build: Build) -> None:
    digest = hashlib.sha256(build.text.encode()).hexdigest()[:16]
    linecache.cache.pop(f"<fusewire {build.name} {digest}>", None)
    sys.modules.pop(f"fusewire_triton_{digest}", None)


def run(build: Build, target: Target, until: str | None = None) -> Built:
    """All stages, or those up to the one called `until`. CompileError with Triton's message where one fails."""
    try:
        import triton
        from triton.compiler.errors import CompilationError
    except ImportError as e:
        raise CompileError("the GPU back end compiles with Triton: pip install 'fusewire[gpu]'") from e
    del triton
    with _lock:
        try:
            return _run(build, target, until)
        except CompilationError as e:
            raise CompileError(f"Triton does not accept the generated text of {build.name}: {e}") from e
        except RuntimeError as e:
            raise CompileError(f"Triton cannot build {build.name} for {target}: {e}") from e
        finally:
            _forget(build)


def _run(build: Build, target: Target, until: str | None) -> Built:
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, make_backend

    fn = _function(build)
    place = {name: i for i, name in enumerate(fn.arg_names)}
    signature = {name: build.signature.get(name, "constexpr") for name in fn.arg_names}
    constants = {(place[name],): value for name, value in build.constants.items()}
    if build.user:
        from .user_functions import loaded

        constants = {at: loaded(value) for at, value in constants.items()}
    attributes = {(place[name],): [["tt.divisibility", 16]] for name in build.divisible}
    source = ASTSource(fn, signature, constants, attributes)
    backend = make_backend(GPUTarget(target.kind, target.arch, target.warp))
    options = backend.parse_options({**_EXACT, **build.options})
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    passes: dict[str, Any] = {}
    backend.add_stages(passes, options, source.language)
    made: Any = source.make_ir(
        backend.target, options, backend.get_codegen_implementation(options), backend.get_module_map(), context
    )
    metadata: dict[str, Any] = {"target": backend.target, **options.__dict__}
    asm: dict[str, Any] = {}
    for stage, step in passes.items():
        made = step(made, metadata)
        asm[stage] = made if isinstance(made, (bytes, str)) else str(made)
        if stage == until:
            break
    return Built(asm, metadata)
