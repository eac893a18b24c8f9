"""Configurations: the spaces they live in and the symmetries that act on them."""

from latflow.fields.spaces import AbstractFieldSpace as AbstractFieldSpace
from latflow.fields.spaces import ScalarSpace as ScalarSpace
