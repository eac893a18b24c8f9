"""The theories that a study can name, one room each, and the catalogue that finds them.

A room is a package with the modules `table`, `words`, `estimates`, `known` and `physics`; `latflow.theories.base` says
what each of them holds. Only `physics` and what it imports needs JAX.
"""
