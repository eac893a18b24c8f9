"""House rules about imports, as guards: see `source_rules.py`.

Imports are read from the source of every module, those inside functions included, and followed through the package.
"""

import ast
import pathlib
from collections.abc import Iterable, Iterator

from source_rules import last_name, parsed

JAX_SIDE = {"jax", "jaxlib", "equinox", "optax"}
LOADS_JAX = {"Array", "ArrayLike", "PRNGKeyArray", "PyTree", "Scalar", "ScalarLike"}
"""Names of jaxtyping that import JAX when they are asked for; its shapes and types do not."""
JAX_FREE = (
    "__init__",
    "errors",
    "tables",
    "words",
    "results",
    "stats",
    "store",
    "report",
    "study/config",
    "flows/tables",
    "flows/link_tables",
    "flows/flow_table",
)
"""Modules and packages that must work without JAX. `tables`, `words` and `results` may be absent."""
JAX_FREE_OF_A_THEORY = {"table", "words", "estimates"}


def must_be_jax_free(root: pathlib.Path) -> list[str]:
    """Dotted names of all modules that must not reach JAX."""
    names = {file.relative_to(root).with_suffix("").as_posix(): name for name, file in modules(root).items()}
    return sorted(name for place, name in names.items() if _is_annex(place))


def reaching_jax(root: pathlib.Path) -> list[str]:
    """Modules that must not reach JAX but do, each with the shortest chain of imports that leads there."""
    graph = {name: set(_imported(file, name)) for name, file in modules(root).items()}
    chains = (_chain(name, graph) for name in must_be_jax_free(root))
    return [" → ".join(chain) for chain in chains if chain]


def on_no_floor(root: pathlib.Path, layers: Iterable[str]) -> list[str]:
    """Modules and packages directly under the root that no layer of the contract names."""
    listed = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    standing = {name.split(".")[1] for name in modules(root) if "." in name}
    return sorted(standing - listed)


def modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Files of all modules by dotted name."""
    return {_dotted(file, root): file for file in sorted(root.rglob("*.py"))}


def _dotted(file: pathlib.Path, root: pathlib.Path) -> str:
    parts = (root.name, *file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_annex(place: str) -> bool:
    """Whether a module, given by its path without ending, is one of those that must not reach JAX."""
    parts = place.split("/")
    if parts[0] == "theories":
        return parts[-1] in JAX_FREE_OF_A_THEORY
    return any(place == entry or place.startswith(f"{entry}/") for entry in JAX_FREE)


def _chain(name: str, graph: dict[str, set[str]]) -> list[str]:
    """Shortest chain of imports from a module to the JAX side; empty if there is none."""
    waiting, seen = [[name]], {name}
    for chain in waiting:
        here = sorted(graph[chain[-1]] | ({chain[-1].rpartition(".")[0]} & graph.keys()))
        outside = next((entry for entry in here if entry.partition(".")[0] in JAX_SIDE), None)
        if outside:
            return [*chain, outside]
        fresh = [entry for entry in here if entry in graph and entry not in seen]
        seen.update(fresh)
        waiting.extend([*chain, entry] for entry in fresh)
    return []


def _imported(file: pathlib.Path, name: str) -> Iterator[str]:
    """Everything a module imports, by dotted name; what is asked of a package may be a module of it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in _executed(parsed(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1]]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
            if source == "jaxtyping" and LOADS_JAX & {alias.name for alias in node.names}:
                yield "jax"
        elif isinstance(node, ast.Call) and last_name(node.func) in {"import_module", "__import__"}:
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below this one, without what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and last_name(child.test) == "TYPE_CHECKING":
            yield from (inner for entry in child.orelse for inner in (entry, *_executed(entry)))
        else:
            yield child
            yield from _executed(child)
