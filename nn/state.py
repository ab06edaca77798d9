"""Saving a module's tensors by name and loading them back, with PyTorch's key rules, hooks and error text.

`Stateful` is the part of Module that does it: each module saves and loads its own by `_save_to_state_dict` and
`_load_from_state_dict`, which subclasses may override, and `get_extra_state` / `set_extra_state` where they are defined.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..eager import factory
from ..eager.modes import no_grad
from ..eager.tensor import Tensor
from .hooks import RemovableHandle, add_hook
from .parameter import Parameter, is_lazy

_EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Stateful:
    """The methods of a Module around `state_dict`; keeps its hooks in dicts that the first hook makes."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent: set[str]
    _state_pre_hooks: dict[int, Any]
    _state_hooks: dict[int, Any]
    _load_pre_hooks: dict[int, Any]
    _load_post_hooks: dict[int, Any]

    def _hooks(self, name: str) -> dict[int, Any]:
        return self.__dict__.setdefault(name, {})  # type: ignore[no-any-return]

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this module's state is collected."""
        return add_hook(self._hooks("_state_pre_hooks"), hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after this module's state was collected."""
        if hasattr(hook, "__self__"):  # a bound method takes no attributes, its function does
            hook.__func__._from_public_api = True  # type: ignore[attr-defined]
        else:
            hook._from_public_api = True  # type: ignore[attr-defined]
        return add_hook(self._hooks("_state_hooks"), hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError("Cannot register the same function as the state dict post hook that was previously registered via "
                               "register_state_dict_post_hook")  # fmt: skip
        return add_hook(self._hooks("_state_hooks"), hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`` before
        this module's state is loaded."""
        return add_hook(self._hooks("_load_pre_hooks"), (hook, True))  # type: ignore[arg-type]

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> RemovableHandle:
        return add_hook(self._hooks("_load_pre_hooks"), (hook, with_module))  # type: ignore[arg-type]

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after this module's state was loaded."""
        return add_hook(self._hooks("_load_post_hooks"), hook)

    def get_extra_state(self) -> Any:
        """What a subclass saves beside its tensors."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state is not defined")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state is not defined")

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by dotted name, detached but sharing memory."""
        if args:
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 else prefix
            keep_vars = args[2] if len(args) > 2 else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        local = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local
        for hook in list(self.__dict__.get("_state_pre_hooks", {}).values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self.__dict__.get("_state_hooks", {}).values()):
            changed = hook(self, destination, prefix, local)
            if changed is not None and getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = destination if changed is None else changed
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Put what this module itself holds into `destination`."""
        for name, x in self._local().items():
            destination[prefix + name] = x if keep_vars else factory.alias(x)
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def _local(self) -> dict[str, Tensor]:
        """This module's own parameters and persistent buffers."""
        own = {**self._parameters, **{k: b for k, b in self._buffers.items() if k not in self._non_persistent}}
        return {k: x for k, x in own.items() if x is not None}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy (or with `assign` put) values in by name; RuntimeError naming every missing, unexpected or misshapen key."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state, missing, unexpected, errors = OrderedDict(state_dict), list[str](), list[str](), list[str]()
        metadata = getattr(state_dict, "_metadata", None) or {}
        self._load(state, "", (assign, metadata), (missing, unexpected, errors))
        if strict and unexpected:
            errors.insert(0, "Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected)))
        if strict and missing:
            errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
        if errors:
            raise RuntimeError("Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors)))
        return IncompatibleKeys(missing, unexpected)

    def _load(
        self, state: dict[str, Any], prefix: str, how: tuple[bool, Mapping[str, Any]],
        found: tuple[list[str], list[str], list[str]],
    ) -> None:  # fmt: skip
        assign, metadata = how
        local = dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = assign
        self._load_from_state_dict(state, prefix, local, True, *found)
        for name, child in self._modules.items():
            if child is not None:
                inner = f"{prefix}{name}."
                child._load({k: v for k, v in state.items() if k.startswith(inner)}, inner, how, found)
        keys = IncompatibleKeys(found[0], found[1])
        for hook in list(self.__dict__.get("_load_post_hooks", {}).values()):
            if hook(self, keys) is not None:
                raise AssertionError("Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return "
                                     "new values: change the lists of keys in place")  # fmt: skip

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Take what this module itself holds out of `state_dict`; tell what is missing, too much or wrong."""
        for hook, with_module in list(self.__dict__.get("_load_pre_hooks", {}).values()):
            rest = (state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
            hook(self, *rest) if with_module else hook(*rest)
        own, assign = self._local(), local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            key = prefix + name
            if key in state_dict:
                problem = self._take(name, key, target, state_dict[key], assign)
                error_msgs += [problem] if problem else []
            elif strict:
                missing_keys.append(key)
        extra = type(self).set_extra_state is not Stateful.set_extra_state
        if extra and prefix + _EXTRA in state_dict:
            self.set_extra_state(state_dict[prefix + _EXTRA])
        elif extra and strict:
            missing_keys.append(prefix + _EXTRA)
        elif strict and prefix + _EXTRA in state_dict:
            unexpected_keys.append(prefix + _EXTRA)
        for key in state_dict if strict else ():
            if not key.startswith(prefix) or key == prefix + _EXTRA:
                continue
            head, dot, _ = key[len(prefix) :].partition(".")
            known = head in self._modules if dot else head in own
            if not known:
                unexpected_keys.append(key)

    def _take(self, name: str, key: str, target: Tensor, source: Any, assign: bool) -> str | None:
        """Copy one tensor; what is wrong with it, if anything."""
        if not isinstance(source, Tensor):
            return (f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint but '
                    f"received {type(source)}")  # fmt: skip
        lazy = is_lazy(target)
        if not lazy and not target.shape and tuple(source.shape) == (1,):  # files of before there were 0-d tensors
            source = source[0]
        if not lazy and source.shape != target.shape:
            return (f"size mismatch for {key}: copying a param with shape {source.shape!r} from checkpoint, "
                    f"the shape in current model is {target.shape!r}.")  # fmt: skip
        try:
            if assign:
                setattr(self, name, _as_parameter(source, target) if isinstance(target, Parameter) else source)
            else:
                with no_grad():
                    target.copy_(source)
        except Exception as e:
            return (f'While copying the parameter named "{key}", whose dimensions in the model are {target.size()!r} and whose '
                    f"dimensions in the checkpoint are {source.size()!r}, an exception occurred : {e.args}.")  # fmt: skip
        return None


def _as_parameter(source: Tensor, target: Tensor) -> Parameter:
    """`source` as what takes the place of the parameter `target`: itself, where it is a parameter."""
    if isinstance(source, Parameter):
        source.requires_grad_(target.requires_grad)
        return source
    return Parameter(source, target.requires_grad)  # type: ignore[no-any-return]
