"""Asynchronous functions: coroutines awaited, driven by send and by asyncio; async for, with and comprehensions."""


from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from rows import Case, construct


def drive(coroutine: Any) -> Any:
    """Run a coroutine that awaits nothing real."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it waits")


@construct("coroutine called and driven by send inside the region")
def coroutine_send(torch: Any) -> Any:
    async def double(x: Any) -> Any:
        return x * 2

    async def both(x: Any) -> Any:
        return await double(x) + await double(x + 1)

    return lambda x: drive(both(x))


@construct("the compiled function is async, awaited by asyncio.run")
def async_itself(torch: Any) -> Any:
    async def double(x: Any) -> Any:
        await asyncio.sleep(0)
        return x * 2

    async def main(x: Any) -> Any:
        y = x + 1
        return await double(y) * 3

    return main


@construct("asyncio.run inside the region")
def asyncio_run(torch: Any) -> Any:
    async def part(x: Any, k: int) -> Any:
        await asyncio.sleep(0)
        return x * k

    async def main(x: Any) -> Any:
        return sum(await asyncio.gather(part(x, 1), part(x, 2)))

    def f(x: Any) -> Any:
        y = x + 1
        return asyncio.run(main(y)) - 1

    return f


@construct("async for over an asynchronous generator, async comprehension")
def async_for(torch: Any) -> Any:
    async def parts(x: Any) -> Any:
        for k in range(3):
            yield x * k

    async def main(x: Any) -> Any:
        total = 0
        async for part in parts(x):
            total = total + part
        return total, [p async for p in parts(x) if p.ndim]

    return lambda x: drive(main(x))


@construct("async with, asynccontextmanager")
def async_with(torch: Any) -> Any:
    log: list[str] = []

    class Session:
        async def __aenter__(self) -> int:
            log.append("enter")
            return 3

        async def __aexit__(self, kind: Any, value: Any, where: Any) -> bool:
            log.append("exit")
            return kind is ValueError

    @contextlib.asynccontextmanager
    async def managed(x: Any) -> Any:
        yield x * 2

    async def main(x: Any) -> Any:
        async with Session() as k, managed(x) as y:
            x = y * k
            raise ValueError("swallowed")
        return x

    return Case(lambda x: drive(main(x)), state=lambda: log)


@construct("exception that leaves a coroutine; awaitable class")
def async_raises(torch: Any) -> Any:
    class Ready:
        def __init__(self, value: Any) -> None:
            self.value = value

        def __await__(self) -> Any:
            return self.value
            yield

    async def fails(x: Any) -> Any:
        raise KeyError(await Ready("k"))

    async def main(x: Any) -> Any:
        try:
            await fails(x)
        except KeyError as error:
            return x + 1, error.args

    return lambda x: drive(main(x))


@construct("coroutine object returned out of the region")
def coroutine_returned(torch: Any) -> Any:
    async def double(x: Any) -> Any:
        return x * 2

    def f(x: Any) -> Any:
        return double(x + 1)

    def between(k: int) -> None:
        return None

    def run(x: Any) -> Any:
        return f(x)

    return Case(run, between=between)
