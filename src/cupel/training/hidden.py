"""What a network holds beside weights and buffers: states of random numbers, counters, pools of masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TORCHS_OWN = frozenset(vars(nn.Module()))
State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and plain values, by name."""


def hidden_state(network: nn.Module) -> State:
    """Tensors and plain values by place.

    Found are generators, single or in lists, tensors that are no buffers, and numbers, in modules and in plain objects that
    they hold. What they hold in another way is not kept: a network that does so is not the same when it goes on.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for place, holder, name in _attributes(network):
        value = getattr(holder, name)
        for part, item in _items(place, value):
            if isinstance(item, torch.Generator):
                tensors[part] = item.get_state()
            elif isinstance(item, np.random.Generator):
                values[part] = _plain(item.bit_generator.state)
            elif isinstance(item, Tensor):
                tensors[part] = item.detach()
            elif item is None or isinstance(item, int | float):
                values[part] = item
    return tensors, values


def restore_hidden(network: nn.Module, found: State) -> None:
    """Give a network, built alike and with the same models kept, the state that was found."""
    tensors, values = found
    for place, holder, name in _attributes(network):
        value = getattr(holder, name)
        for part, item in _items(place, value):
            if isinstance(item, torch.Generator):
                item.set_state(tensors[part])
            elif isinstance(item, np.random.Generator):
                item.bit_generator.state = _from_plain(values[part])
            elif part in tensors:
                setattr(holder, name, tensors[part].to(_device_of(network)))
            elif part in values:
                setattr(holder, name, values[part])


def _attributes(network: nn.Module) -> Iterator[tuple[str, Any, str]]:
    for path, module in network.named_modules():
        yield from _own(path, module, frozenset())


def _own(path: str, holder: Any, seen: frozenset[int]) -> Iterator[tuple[str, Any, str]]:
    for name, value in sorted(vars(holder).items()):
        if name in TORCHS_OWN or isinstance(value, nn.Module | nn.Parameter):
            continue
        yield f"{path}/{name}", holder, name
        if _is_plain_object(value) and id(value) not in seen:
            yield from _own(f"{path}/{name}", value, seen | {id(holder)})


def _is_plain_object(value: Any) -> bool:
    """Whether it may hold what changes: frozen dataclasses, and what libraries and the language define, do not."""
    if not hasattr(value, "__dict__") or isinstance(value, type | FunctionType | MethodType):
        return False
    if dataclasses.is_dataclass(value) and getattr(value, "__dataclass_params__").frozen:  # noqa: B009 it is not declared
        return False
    return type(value).__module__.partition(".")[0] not in ("torch", "numpy", "builtins", "functools")


def _items(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple) and value and all(isinstance(v, torch.Generator | np.random.Generator) for v in value):
        yield from ((f"{place}/{position}", item) for position, item in enumerate(value))
    else:
        yield place, value


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {name: _plain(item) for name, item in state.items()}
    return {"integers": state.tolist()} if isinstance(state, np.ndarray) else state


def _from_plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        if "integers" in state:
            return np.array(state["integers"], np.uint64)
        return {name: _from_plain(item) for name, item in state.items()}
    return state
