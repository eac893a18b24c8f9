"""The posterior of a planar robot arm whose tip is near one of several goals."""
