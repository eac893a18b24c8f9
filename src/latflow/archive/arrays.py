"""A stored ensemble as arrays, and as objects of pyerrors, xarray and pandas.

Chains have the leading axes (record, chain), draws the one axis (draw). Draws are weighted: the exact Markov chain
through them stands at draw `index` after every step.

Configurations are those of the house field of docs/conventions.md, which is what actions, flows and files take. Columns
and weights are numbers about the field of the study, as its results are: `normalisation` says which.
"""

import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact, Int

from latflow.errors import MissingInputError, UnavailableError, UsageError
from latflow.results import Normalisation, Observable
from latflow.stats.gamma import load_pyerrors
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import GIVEN, SCRAMBLINGS
from latflow.study.foreign import replicas_of
from latflow.study.wording import powers_of, stored_normalisation
from latflow.theories.catalogue import is_on_lattice

_AXES = {
    "record": {"long_name": "record of a chain"},
    "chain": {"long_name": "Markov chain"},
    "draw": {"long_name": "independent weighted draw"},
}
_LEAST = 5  # pyerrors takes no shorter series


@dataclass(frozen=True)
class StoredEnsemble:
    """Configurations of one sampler, and the columns that were measured of them.

    Attributes:
        study: Name of the study; the ensemble of `to_pyerrors` is called STUDY_SAMPLER.
        ensemble: The blocks on disk, verified as they are read.
        measurement: The blocks of what was measured; None if nothing was.
        words: How observables are written, by name.
    """

    study: str
    ensemble: Ensemble
    measurement: Ensemble | None
    words: Mapping[str, Observable]

    def __repr__(self) -> str:
        what = f"{self.ensemble.n_records} {'draws' if self.is_weighted else 'configurations'}"
        return f"StoredEnsemble({self.sampler} of {self.study}: {what}; measured: {', '.join(self.names) or 'nothing'})"

    @property
    def sampler(self) -> str:
        """Name of the sampler."""
        return str(self.ensemble.manifest.get("sampler", self.ensemble.path.name))

    @property
    def action(self) -> Mapping[str, Any]:
        """The table ``[action]`` of its study: kind, normalisation, parameters."""
        return self.ensemble.manifest["identity"].get("action", {})

    @property
    def normalisation(self) -> Normalisation | None:
        """The field that columns and weights are of: its `rescaling` times that of `fields`; None if not known here."""
        return stored_normalisation(self.ensemble.manifest["identity"])

    @property
    def is_weighted(self) -> bool:
        """Whether it holds independent weighted draws; else Markov chains."""
        return "block_size" in self.ensemble.manifest["identity"]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that were measured."""
        found = self.measurement
        return () if found is None or found.n_blocks == 0 else tuple(found.manifest["identity"]["observables"])

    def blocks(self) -> Iterator[Inexact[np.ndarray, "*leading_and_shape"]]:
        """Configurations of the house field block by block, so that memory stays bounded.

        Raises:
            MissingInputError: If only the ledger was kept: `latflow regenerate` draws the configurations again.
        """
        if "fields" in self.ensemble.manifest["identity"]:
            hint = "`latflow regenerate` draws the configurations again"
            hint = "they are in the files of another code" if self.sampler in GIVEN else hint
            raise MissingInputError(f"{self.ensemble.path}: holds the ledger only", hint=hint)
        return (block.arrays["fields"] for block in self.ensemble.blocks(("fields",)))

    def fields(self) -> Inexact[np.ndarray, "*leading_and_shape"]:
        """All configurations, (records, chains, *shape) or (draws, *shape), of the house field.

        They are what actions take; times ``normalisation.rescaling`` they are those of the study.

        Raises:
            MissingInputError: If only the ledger was kept, or there is no block yet.
        """
        parts = list(self.blocks())
        if not parts:
            raise MissingInputError(f"{self.ensemble.path}: no blocks yet")
        return np.concatenate(parts)

    def column(self, name: str) -> Float[np.ndarray, "..."]:
        """A measured column, (records, chains, …) or (draws, …), of the field of the study.

        Raises:
            UsageError: If it was not measured.
        """
        if self.measurement is None or name not in self.names:
            raise UsageError("column", value=repr(name), allowed=", ".join(self.names) or "none, nothing was measured")
        values, found = self.measurement.column(name), self.normalisation
        power = 0 if found is None or found.rescaling == 1 else powers_of(str(self.action.get("kind"))).get(name, 0)
        return values if found is None or power == 0 else values * found.rescaling**power

    @property
    def log_weight(self) -> Float[np.ndarray, " draws"]:
        """Logarithm of the weight of every draw; the mean weight is Z with the measure of the field of the study.

        Raises:
            UsageError: If these are Markov chains.
        """
        return self._of_draws("log_weight") + (0.0 if self.normalisation is None else self.normalisation.log_z_shift)

    @property
    def index(self) -> Int[np.ndarray, " steps"]:
        """For every step of the exact chain, the draw it stands at.

        Raises:
            UsageError: If these are Markov chains, or quasi-random draws.
        """
        return self._of_draws("index")

    def chains(self, name: str) -> Float[np.ndarray, "chains records ..."]:
        """A column along the Markov chains; for draws, along the exact chain, which repeats a draw at a rejection.

        Raises:
            UsageError: If it was not measured, or of quasi-random draws.
        """
        values = self.column(name)
        if not self.is_weighted:
            return np.swapaxes(values, 0, 1)
        return along_the_chain(values, self.index)

    def to_pyerrors(self, names: Collection[str] = ()) -> dict[str, Any]:
        """The means of columns as `pyerrors.Obs`, one replicum for every chain; a list of them for an array.

        Configurations of another code keep their replicas and numbers.

        Nothing is estimated yet: call ``gamma_method`` on what is derived from them. Fluctuations are about the mean of
        each chain, in the estimates of the run about that of all chains: errors differ where chains are short.

        Args:
            names: Which columns; by default all.

        Raises:
            UsageError: If one was not measured.
        """
        pyerrors = load_pyerrors()
        return {name: self._obs(pyerrors, self.chains(name)) for name in names or self.names}

    def to_xarray(self, names: Collection[str] = ()) -> Any:
        """Columns as an `xarray.Dataset` with named axes; titles, symbols, definitions and the field are attributes.

        Args:
            names: Which columns; by default all.

        Raises:
            UnavailableError: If xarray is not installed.
            UsageError: If a column was not measured.
        """
        xarray = _package("xarray")
        found = {name: self._labelled(xarray, name) for name in names or self.names}
        if self.is_weighted:
            words = {"long_name": "ln w", "units": "1"}
            found["log_weight"] = xarray.DataArray(self.log_weight, dims=("draw",), attrs=words)
        facts = {"study": self.study, "sampler": self.sampler, "units": self._units, **self._field}
        found |= {
            name: xarray.DataArray(np.arange(n), dims=(name,), attrs=_AXES[name]) for name, n in self._lengths(found)
        }
        return xarray.Dataset(found, attrs={**facts, **{f"action_{key}": value for key, value in self.action.items()}})

    def to_dataframe(self) -> Any:
        """Scalar columns as a `pandas.DataFrame`, a row for every record of every chain, or for every draw.

        Raises:
            UnavailableError: If pandas is not installed.
        """
        lead = 1 if self.is_weighted else 2
        columns = {name: values for name in self.names if (values := self.column(name)).ndim == lead}
        shape = next(iter(columns.values())).shape if columns else (0,) * lead
        numbers = dict(zip(self._axes, np.indices(shape), strict=True))
        weights = {"log_weight": self.log_weight} if self.is_weighted else {}
        found = frame({name: values.ravel() for name, values in {**numbers, **weights, **columns}.items()})
        titles = {name: words.title for name in columns if (words := self.words.get(name)) is not None}
        found.attrs |= {"study": self.study, "sampler": self.sampler, "units": self._units, "titles": titles}
        return found

    @property
    def _field(self) -> dict[str, Any]:
        """The field that columns are of, and what configurations are multiplied by to be of it."""
        found = self.normalisation
        return {} if found is None else {"normalisation": found.name, "rescaling": found.rescaling}

    @property
    def _axes(self) -> tuple[str, ...]:
        return ("draw",) if self.is_weighted else ("record", "chain")

    def _lengths(self, found: Mapping[str, Any]) -> list[tuple[str, int]]:
        """The leading axes that columns have, and how long they are."""
        sizes = {name: size for array in found.values() for name, size in array.sizes.items()}
        return [(name, sizes[name]) for name in self._axes if name in sizes]

    def _of_draws(self, name: str) -> np.ndarray:
        if not self.is_weighted:
            raise UsageError(name, value=f"of {self.sampler}", allowed="of weighted draws; these are Markov chains")
        if self.sampler in SCRAMBLINGS and name in ("index", "accepted"):
            hint = (
                "points of a scrambling are not independent, so no accept/reject (Metropolis) chain goes through them"
            )
            raise UsageError(name, value=f"of {self.sampler}", allowed="of random draws", hint=hint)
        return self.ensemble.column(name)

    def _obs(self, pyerrors: Any, chains: np.ndarray) -> Any:
        flat = chains.reshape(*chains.shape[:2], -1)
        pieces, numbers = list(flat), None
        if self.sampler in GIVEN:
            replicas, order = replicas_of(self.ensemble)
            pieces = replicas.split(flat[0][order[: flat.shape[1]]])
            numbers = [list(each) for each in replicas.numbers]
            if min(map(len, numbers)) < _LEAST:
                raise UsageError("to_pyerrors", value="a shorter replica", allowed=f"{_LEAST} records of every replica")
        replica = [f"{self.study}_{self.sampler}|r{c:03d}" for c in range(len(pieces))]
        found = [pyerrors.Obs([p[:, i] for p in pieces], replica, idl=numbers) for i in range(flat.shape[2])]
        return found if chains.ndim > 2 else found[0]

    @property
    def _units(self) -> str:
        kind = self.action.get("kind")
        return "lattice units" if is_on_lattice(kind) else "1"

    def _labelled(self, xarray: Any, name: str) -> Any:
        values = self.column(name)
        inner = [f"{name}_{i}" for i in range(values.ndim - len(self._axes))]
        words = self.words.get(name)
        told = {} if words is None else words.model_dump(include={"title", "symbol", "definition"})
        told |= {"long_name": told.get("title", name.replace("_", " ")), "units": self._units, **self._field}
        return xarray.DataArray(values, dims=(*self._axes, *inner), attrs=told)


def along_the_chain(
    values: Float[np.ndarray, "draws ..."], index: Int[np.ndarray, " steps"]
) -> Float[np.ndarray, "one steps ..."]:
    """A column of draws along the exact chain through them, which repeats its standing draw at every rejection.

    Args:
        values: One entry for every draw, or for the first ones: a run that goes on may be measured in part.
        index: For every step, the draw it stands at; negative before the first acceptance.
    """
    standing = index[: len(values)]
    return values[standing[standing >= 0]][None]


def frame(data: Any) -> Any:
    """A `pandas.DataFrame`.

    Raises:
        UnavailableError: If pandas is not installed.
    """
    return _package("pandas").DataFrame(data)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UnavailableError(name, value="not installed", hint=f"pip install {name}") from None
