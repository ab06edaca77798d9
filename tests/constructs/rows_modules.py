"""Modules: calls, hooks, buffers, parameters, containers, modes; optimisers inside the region."""


from __future__ import annotations

from typing import Any

from rows import Case, construct


def batches(torch: Any) -> list[tuple[Any, ...]]:
    """Three inputs of two rows."""
    return [(torch.arange(6.0).reshape(2, 3) * k * 0.1,) for k in (1, 2, 3)]


def linear(torch: Any, a: int = 3, b: int = 3) -> Any:
    """A layer with known weights."""
    layer = torch.nn.Linear(a, b)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(float(a * b)).reshape(b, a) * 0.1)
        layer.bias.copy_(torch.arange(float(b)))
    return layer


def on(module: Any, torch: Any, **more: Any) -> Case:
    """A case that calls a module."""

    def f(x: Any) -> Any:
        return module(x)

    return Case(f, batches(torch), **more)


@construct("Module call, parameters live")
def module_call(torch: Any) -> Any:
    layer = linear(torch)

    def between(k: int) -> None:
        with torch.no_grad():
            layer.weight.add_(k)

    return on(torch.nn.Sequential(layer, torch.nn.ReLU(), linear(torch)), torch, between=between)


@construct("Module: parameter replaced, shared between layers, re-tied between calls")
def shared_parameters(torch: Any) -> Any:
    a, b = linear(torch), linear(torch)
    b.weight = a.weight

    def between(k: int) -> None:
        if k == 1:
            b.weight = torch.nn.Parameter(torch.ones(3, 3))
        if k == 2:
            a.weight = b.weight

    return on(torch.nn.Sequential(a, b), torch, between=between)


@construct("Module: int attribute counter, float attribute that changes")
def module_counter(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps, self.scale, self.layer = 0, 1.0, linear(torch)

        def forward(self, x: Any) -> Any:
            self.steps += 1
            return self.layer(x) * self.scale + self.steps

    model = Model()

    def between(k: int) -> None:
        model.scale = 0.5 * k

    return on(model, torch, between=between, state=lambda: model.steps)


@construct("Module: buffers, register_buffer, buffer updated in place and replaced")
def buffers(torch: Any) -> Any:
    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("count", torch.tensor(0))

        def forward(self, x: Any) -> Any:
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
            self.count += 1
            return x - self.mean

    model = Mean()
    return on(model, torch, state=lambda: list(model.buffers()))


@construct("BatchNorm running stats, train and eval in turn")
def batch_norm(torch: Any) -> Any:
    model = torch.nn.Sequential(linear(torch), torch.nn.BatchNorm1d(3))

    def between(k: int) -> None:
        model.train(k != 1)

    return on(model, torch, between=between, state=lambda: list(model.buffers()))


@construct("Module: train/eval seen by Dropout and by user code")
def train_eval(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = torch.nn.Dropout(0.0)

        def forward(self, x: Any) -> Any:
            return self.drop(x) * (2 if self.training else 3)

    model = Model()
    return on(model, torch, between=lambda k: model.train(k != 1) and None)


@construct("forward hook and pre-hook registered before the compile")
def hooks_before(torch: Any) -> Any:
    layer, seen = linear(torch), []
    layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    layer.register_forward_hook(lambda m, args, out: (seen.append(tuple(out.shape)), out * 2)[1])
    return on(layer, torch, state=lambda: seen)


@construct("forward hook registered after the compile, removed again")
def hooks_after(torch: Any) -> Any:
    layer, handles = linear(torch), []

    def between(k: int) -> None:
        if k == 1:
            handles.append(layer.register_forward_hook(lambda m, args, out: out * 100))
        if k == 2:
            handles.pop().remove()

    return on(torch.nn.Sequential(layer), torch, between=between)


@construct("forward replaced on the instance, on the class, between calls")
def forward_replaced(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1

    model = Model()

    def between(k: int) -> None:
        if k == 1:
            model.forward = lambda x: x * 5
        if k == 2:
            del model.forward
            Model.forward = lambda self, x: x - 7

    return on(model, torch, between=between)


@construct("__call__ overridden, forward with keywords and defaults")
def call_overridden(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __call__(self, x: Any, scale: float = 2.0) -> Any:
            return super().__call__(x, scale=scale) + 1

        def forward(self, x: Any, *, scale: float) -> Any:
            return x * scale

    return on(Model(), torch)


@construct("ModuleList and ModuleDict: iteration, indexing, appended and replaced between calls")
def module_list(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([linear(torch), linear(torch)])
            self.heads = torch.nn.ModuleDict({"a": linear(torch), "b": torch.nn.Identity()})

        def forward(self, x: Any) -> Any:
            for k, layer in enumerate(self.layers):
                x = layer(x) + k
            for name, head in self.heads.items():
                x = head(x) * len(name)
            return self.heads["a"](x) + len(self.layers) + self.layers[-1](x)

    model = Model()

    def between(k: int) -> None:
        if k == 1:
            model.layers.append(torch.nn.Tanh())
        if k == 2:
            model.heads["b"] = torch.nn.ReLU()

    return on(model, torch, between=between)


@construct("Module made inside the region")
def module_inside(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten())(x) * 2

    return Case(f, batches(torch))


@construct("named_parameters, parameters, children, state_dict keys, apply, zero_grad read inside")
def module_walk(torch: Any) -> Any:
    model = torch.nn.Sequential(linear(torch), torch.nn.Sequential(linear(torch)))

    def f(x: Any) -> Any:
        total = sum(p.sum() for p in model.parameters())
        names = [n for n, _ in model.named_parameters()]
        kinds = [type(m).__name__ for m in model.modules()]
        return x * total, names, kinds, len(list(model.children()))

    return Case(f, batches(torch))


@construct("Module compiled itself, attributes and methods reachable")
def module_itself(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear(torch)

        def forward(self, x: Any) -> Any:
            return self.helper(self.layer(x))

        def helper(self, x: Any) -> Any:
            return x + 1

    return Case(Model(), batches(torch))


@construct("functional calls, nested modules with shared submodule")
def shared_module(torch: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = linear(torch)
            self.b = self.a

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.relu(self.a(self.b(x)))

    return on(Model(), torch)


@construct("optimizer.step() and zero_grad() inside")
def optimizer_step(torch: Any) -> Any:
    model = linear(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def f(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Case(f, batches(torch), state=lambda: [p.detach() for p in model.parameters()])


@construct("Adam step whose learning rate changes between calls")
def adam_step(torch: Any) -> Any:
    model = linear(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def f(x: Any) -> Any:
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def between(k: int) -> None:
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)

    return Case(f, batches(torch), state=lambda: [p.detach() for p in model.parameters()], between=between)
