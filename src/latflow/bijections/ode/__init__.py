"""Continuous flows: bijections that integrate a velocity, their schemes, and path gradients along them."""
