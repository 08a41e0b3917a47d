"""Reads tables, types their columns, judges their quality and splits them honestly."""
