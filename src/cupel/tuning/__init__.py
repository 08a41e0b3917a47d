"""Proposes candidates and decides which to train next."""
