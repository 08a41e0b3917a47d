"""Writes training in progress down, when it is time, and reads it again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cupel.core.checkpoints import Checkpoints
from cupel.core.keeping import Rhythm

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(eq=False)
class Keeper:
    """Keeps one loop's state under a name; without checkpoints it keeps nothing."""

    checkpoints: Checkpoints | None = None
    name: str = ""
    _rhythm: Rhythm = field(default_factory=Rhythm)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self.checkpoints is not None and self._rhythm.is_due

    @property
    def is_worth_its_end(self) -> bool:
        """Whether what is finished should be kept until what is trained beside or after it is finished too."""
        return self.checkpoints is not None and self._rhythm.is_worth_its_end

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write down named tensors and plain values."""
        from safetensors.torch import save

        if self.checkpoints is None:
            return
        started = time.monotonic()
        whole = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
        self.checkpoints.save(self.name, save(whole, metadata={"facts": json.dumps(dict(facts))}))
        self._rhythm.written(since=started)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was written down last; None where nothing was, or a stranger has written something else."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        content = None if self.checkpoints is None else self.checkpoints.load(self.name)
        if content is None:
            return None
        try:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts = json.loads(header["__metadata__"]["facts"])
            return (load(content), facts) if isinstance(facts, dict) else None
        except (SafetensorError, *_DAMAGED):
            return None
