"""YAML of plain values alone: what a stranger wrote can neither make objects nor grow when it is read."""

from __future__ import annotations

import re
from typing import Any

import yaml

DEEPEST = 40
"""Levels of nesting; what Cupel writes has eight at most."""
FLOAT, EXPONENT = "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
"""A number with an exponent as people write it: `1e-3`, which YAML 1.1, and so the library, takes for a text."""


class _Loader(yaml.SafeLoader):
    """Refuses aliases, which let a short text stand for a huge structure, and deep nesting, which exhausts the stack."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias (*name) stands here; write the value itself")
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"it is nested more than {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands in two places twice, since aliases are not read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the library's own signature
        return True


for each in (_Loader, _Dumper):  # both, so that a text that looks like such a number is written in quotes
    each.add_implicit_resolver(FLOAT, EXPONENT, list("-+0123456789"))


def parsed_yaml(text: str) -> Any:
    """Plain values from YAML.

    Raises:
        ValueError: it is no YAML, has aliases or objects, or is nested too deeply; says where.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def yaml_of(value: Any) -> str:
    """Plain values as YAML that `parsed_yaml` reads, in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
