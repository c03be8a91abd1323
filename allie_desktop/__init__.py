"""Allie Desktop: a local AI that learns from its owner's conversations while the owner is away."""

__version__ = "0.1.0"
