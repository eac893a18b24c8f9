"""Spin models: the XY model and O(N) sigma models."""
