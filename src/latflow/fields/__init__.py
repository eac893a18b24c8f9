"""Configurations: field spaces, symmetries, parallel transport, smearing, gradient flow and field strength."""

from latflow.fields.product import Held as Held
from latflow.fields.product import ProductSpace as ProductSpace
from latflow.fields.spaces import AbstractFieldSpace as AbstractFieldSpace
from latflow.fields.spaces import GaugeSpace as GaugeSpace
from latflow.fields.spaces import ScalarSpace as ScalarSpace
from latflow.fields.symmetry import AbstractSymmetry as AbstractSymmetry
from latflow.fields.symmetry import Product as Product
from latflow.fields.symmetry import Reflection as Reflection
from latflow.fields.symmetry import Rotation as Rotation
from latflow.fields.symmetry import SignFlip as SignFlip
from latflow.fields.symmetry import Translation as Translation
