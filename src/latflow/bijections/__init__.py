"""Room: bijections."""
