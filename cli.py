"""The ``fusewire`` command. Parses, finds the user's function, prints; all work is done elsewhere.

A wrong file, function, argument or stage is one line on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from . import logs
from .bench import OTHERS, SUITES
from .errors import FusewireError
from .runner import UsageError

_TYPE = re.compile(r"^([a-z]+\d*)\[([\d, ]*)\]$")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(f"fusewire: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Parser(argparse.ArgumentParser):
    """Says which command or option was meant."""

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '([^']*)'|unrecognized arguments: (\S+)", message)
        if wrong is not None:
            below = [action.choices.values() for action in self._actions if isinstance(action.choices, dict)]
            parsers = [self, *(parser for parsers in below for parser in parsers)]
            actions = [action for parser in parsers for action in parser._actions]
            known = [name for action in actions for name in (*(action.choices or ()), *action.option_strings)]
            near = difflib.get_close_matches(wrong[1] or wrong[2], map(str, known), 1)
            message += f"; did you mean {near[0]}?" if near else ""
        super().error(message)


def _command(commands: Any, name: str, text: str, **options: Any) -> argparse.ArgumentParser:
    """A command whose own page says what the list says of it."""
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", **options)
    return made


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(allow_abbrev=False, prog="fusewire", description="A tensor compiler and JIT in pure Python.")
    package = sys.modules[__package__ or "fusewire"]
    parser.add_argument("--version", action="version", version=f"fusewire {getattr(package, '__version__', '')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = _command(commands, "demo", "train a character GPT on fusewire's own sources, eagerly and compiled")
    demo.set_defaults(run=_demo)
    dump = _command(commands, "dump", "print one stage of the compilation of a function")
    explain = _command(commands, "explain", "say what a function compiles to, where it breaks, what was not fused and why")
    bench = _command(commands, "bench", "measure fusewire against eager and the peers installed here")
    suites = f"{', '.join(SUITES)}; default: these. Or: {', '.join(OTHERS)}; constructs [WORD ...]: rows of tests/constructs"
    bench.add_argument("suites", nargs="*", metavar="SUITE", help=suites)
    bench.add_argument("--no-torch", action="store_true", help="without PyTorch beside fusewire")
    bench.add_argument("--threads", type=_counts, default=(1,), metavar="N[,N...]", help="numbers of threads, e.g. 1,2")
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: python -m fusewire.bench.gpu")
    bench.add_argument("--quick", action="store_true", help="fewer rounds")
    bench.add_argument("--json", type=Path, metavar="FILE", help="append a JSON line a row to FILE")
    bench.add_argument("--chart", type=Path, metavar="FILE", help="draw the rows into FILE (.svg, .png, .pdf)")
    bench.set_defaults(run=_bench)
    run = _command(commands, "run", "run a script or module as python does, and log what is compiled", allow_abbrev=False)
    run.add_argument("--log", default="", metavar="NAMES", help="any of " + ", ".join(logs.ARTIFACTS) + "; or all")
    run.add_argument("--as", default="", metavar="NAME", dest="as_", help="let imports of NAME (torch) find fusewire")
    run.add_argument("-m", nargs=argparse.REMAINDER, metavar="MODULE ...", dest="module", help="a module and its arguments")
    run.add_argument("script", nargs=argparse.REMAINDER, metavar="SCRIPT ...", help="a file and its arguments")
    run.set_defaults(run=_run)
    breaks = _command(commands, "breaks", "list the codes of graph breaks, why they happen and what to do")
    breaks.set_defaults(run=_breaks)
    cache = _command(commands, "cache", "look into the disk cache, or empty it")
    actions = cache.add_subparsers(required=True, metavar="action")
    _command(actions, "info", "folder, entries and bytes by kind").set_defaults(run=_cache_info)
    _command(actions, "clear", "remove every entry").set_defaults(run=_cache_clear)
    warm = _command(actions, "warm", "compile the kernels that eager programs on the GPU here commonly run")
    warm.add_argument("--processes", type=int, metavar="N", help="processes that compile; default: as many as processors")
    warm.set_defaults(run=_cache_warm)
    why = _command(actions, "why", "call a function and say whether it comes from the cache, and if not, why")
    why.set_defaults(run=_cache_why)
    for command in (dump, explain, why):
        command.add_argument("target", metavar="FILE:FUNC", help="a Python file and a function, Module or attribute path in it")
        command.add_argument(
            "--args", metavar="EXPR", help="e.g. 'randn(4, 8), 2.0'; default: annotations such as \"f32[4,8]\""
        )
    dump.add_argument("--stage", required=True, help="one of: " + ", ".join(_stages()))
    dump.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="whose schedule, kernels and plan; needs no GPU")
    dump.set_defaults(run=_dump)
    then = "arguments of a further call, which may compile again; as often as wanted"
    explain.add_argument("--then", metavar="EXPR", action="append", default=[], help=then)
    explain.set_defaults(run=_explain)
    return parser


def _stages() -> tuple[str, ...]:
    from .compiler import STAGES

    return tuple(STAGES)


def _demo(options: argparse.Namespace) -> int:
    from .bench import demo

    return demo.main()


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(","))
    if min(counts) < 1:
        raise ValueError(text)
    return counts


def _bench(options: argparse.Namespace) -> int:
    from .bench import constructs, suites

    try:
        if options.suites[:1] == ["constructs"]:
            return constructs.main(options.suites[1:], beside=not options.no_torch)
        if options.device == "cuda" or options.suites == ["gpu"]:
            from .bench import gpu

            return gpu.main(["--no-peers"] * options.no_torch + ["--tiny"] * options.quick)
        wanted = options.suites, options.threads, options.quick, options.json, options.chart
        return suites.main(*wanted, beside=not options.no_torch)
    except (ValueError, FusewireError) as error:
        raise UsageError(str(error)) from error


def _run(options: argparse.Namespace) -> int:
    from . import runner

    if options.module:
        return runner.run(options.module, module=True, log=options.log, as_=options.as_)
    own = options.log or options.as_
    found, command = ({}, options.script) if own else runner.split(options.script)
    return runner.run(command, log=found.get("log", options.log), as_=found.get("as", options.as_))


def _breaks(options: argparse.Namespace) -> int:
    from .tracer.kinds import catalogue

    print(catalogue(), end="")
    return 0


def _cache_info(options: argparse.Namespace) -> int:
    from .runtime import store

    print(store.info())
    return 0


def _cache_clear(options: argparse.Namespace) -> int:
    from .runtime import store

    folder = store.folder()
    print(f"{store.clear()} entries removed from {folder}")
    return 0


def _cache_warm(options: argparse.Namespace) -> int:
    from .eager import warming

    try:
        kept = warming.warm(lambda line: print(line, flush=True), options.processes)
    except FusewireError as error:
        raise UsageError(str(error)) from error
    print(f"{kept} kernels are kept")
    return 0


def _cache_why(options: argparse.Namespace) -> int:
    from .compiler import cache_events

    function, args = _target(options)
    for event in _called(lambda: cache_events(function, args), options.target):
        print(event)
    return 0


def _dump(options: argparse.Namespace) -> int:
    if options.stage not in _stages():
        raise UsageError(f"no stage {options.stage!r}; there are {', '.join(_stages())}")
    function, args = _target(options)
    wanted = (options.stage,), options.device
    print(_called(lambda: stage_texts(function, args, *wanted)[options.stage], options.target))
    return 0


def _explain(options: argparse.Namespace) -> int:
    from .compiler import explain

    function, args = _target(options)
    explained = explain(function)
    report = _called(lambda: explained(*args), options.target)
    for text in options.then:
        more = _arguments(function, text, sys.modules[Path(options.target.rpartition(":")[0]).stem], options.target)
        report = _called(partial(explained, *more), options.target)
    print(report)
    return 0


def _called(call: Callable[[], Any], target: str) -> Any:
    """The result of running the user's function; what it raises comes out as one line."""
    try:
        return call()
    except Exception as error:
        text = " ".join(str(error).split())
        raise UsageError(f"{target} raised {type(error).__name__}: {text}") from error


def stage_texts(
    function: Callable[..., Any], args: Sequence[Any], stages: Sequence[str] | None = None, device: str = "cpu"
) -> dict[str, str]:
    """The text of each stage of compiling ``function(*args)``, for that kind of device."""
    from .compiler import stage_texts as texts

    return texts(function, tuple(args), tuple(stages or _stages()), device)


def _target(options: argparse.Namespace) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    file, colon, name = options.target.rpartition(":")
    if not colon or not file or not name:
        raise UsageError(f"{options.target!r} is not FILE:FUNC")
    scope = _load(Path(file))
    found: Any = scope
    for part in name.split("."):
        if not hasattr(found, part):
            names = ", ".join(sorted(n for n, v in vars(scope).items() if callable(v) and not n.startswith("_")))
            raise UsageError(f"{file} has no {name!r}; there are {names or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{name} in {file} is a {type(found).__name__}, not a function")
    return found, _arguments(found, options.args, scope, name)


def _load(path: Path) -> Any:
    """The module in `path`, run once; its own errors come out as one line."""
    if not path.is_file():
        raise UsageError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} does not run: {type(error).__name__}: {error}") from error
    return module


def _arguments(function: Callable[..., Any], text: str | None, scope: Any, name: str) -> tuple[Any, ...]:
    from . import nn

    if text is not None:
        try:
            value = eval(f"({text},)" if text.strip() else "()", {**_names(), **vars(scope)})
        except Exception as error:
            raise UsageError(f"--args {text!r}: {type(error).__name__}: {error}") from error
        return tuple(value)
    target = function.forward if isinstance(function, nn.Module) else function
    made = []
    for parameter in inspect.signature(target).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            break
        made.append(_example(parameter, name))
    return tuple(made)


def _names() -> dict[str, Any]:
    """The public names of fusewire."""
    return vars(sys.modules[__package__ or "fusewire"])


def _example(parameter: inspect.Parameter, name: str) -> Any:
    """A tensor for an annotation like "f32[4,8]": normal numbers, or zeros for integers and bools."""
    match = _TYPE.match(parameter.annotation) if isinstance(parameter.annotation, str) else None
    if match is None:
        raise UsageError(
            f'{name} needs an argument {parameter.name!r}: give --args, or annotate it like {parameter.name}: "f32[4,8]"'
        )
    from .ir import dtypes

    if match[1] not in dtypes.BY_NAME:
        raise UsageError(f"{name}: no dtype {match[1]!r} in the annotation of {parameter.name!r}")
    dtype, shape = dtypes.BY_NAME[match[1]], tuple(int(n) for n in match[2].split(",") if n.strip())
    made = _names()
    return made["randn"](shape).to(dtype) if dtype.is_floating_point else made["zeros"](shape, dtype=dtype)


if __name__ == "__main__":
    sys.exit(main())
