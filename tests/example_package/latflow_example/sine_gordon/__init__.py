"""Sine-Gordon theory."""
