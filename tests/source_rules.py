"""House rules about the text of modules, as guards.

A guard takes the folder of a package and returns the places that break its rule; an empty list means that it is kept.
`test_architecture.py` applies the guards to latflow, `test_house_rules.py` to small packages with a planted violation.
"""

import ast
import functools
import pathlib
from collections.abc import Iterator

LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
MOST_POSITIONAL = 6
FORBIDDEN_NAMES = {"super", "hasattr", "eval", "exec"}
FORBIDDEN_IMPORTS = {"__future__", "pickle"}
FACES = ("cli", "report", "__main__")
"""Only these print."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def sources(root: pathlib.Path) -> list[tuple[pathlib.Path, str, ast.Module]]:
    """Path relative to the package, text and syntax tree of every module."""
    files = sorted(root.rglob("*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    return [(file.relative_to(root), text, parsed(text)) for file, text in zip(files, texts, strict=True)]


def nodes(root: pathlib.Path, kind: type | tuple[type, ...]) -> list[tuple[str, ast.AST]]:
    """Every node of a kind, with the place where it stands."""
    return [
        (f"{path}:{node.lineno}", node)
        for path, _, tree in sources(root)
        for node in ast.walk(tree)
        if isinstance(node, kind)
    ]


def last_name(node: ast.expr) -> str:
    """Last component of a dotted name: `eqx.Module` → Module, `Generic[T]` → Generic, `f(x)` → f."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


# Modules --------------------------------------------------------------------------------------------------------------


def modules_without_docstring(root: pathlib.Path) -> list[str]:
    return [str(path) for path, _, tree in sources(root) if not ast.get_docstring(tree)]


def long_modules(root: pathlib.Path) -> list[str]:
    return [str(path) for path, text, _ in sources(root) if len(text.splitlines()) > LONGEST_MODULE]


def forbidden_names(root: pathlib.Path) -> list[str]:
    """Uses of `super`, `hasattr`, `eval` and `exec`."""
    return [f"{place}: {node.id}" for place, node in nodes(root, ast.Name) if node.id in FORBIDDEN_NAMES]


def forbidden_imports(root: pathlib.Path) -> list[str]:
    """Imports of `__future__` (it would hide array annotations from the tests) and of `pickle`."""
    found = [(place, node.module) for place, node in nodes(root, ast.ImportFrom)]
    found += [(place, alias.name) for place, node in nodes(root, ast.Import) for alias in node.names]
    return [f"{place}: {name}" for place, name in found if name and name.partition(".")[0] in FORBIDDEN_IMPORTS]


def prints_outside_the_faces(root: pathlib.Path) -> list[str]:
    """Calls of `print` in a module that is neither the command line nor the report."""
    inside = [(path.parts[0].removesuffix(".py"), path, tree) for path, _, tree in sources(root)]
    return [
        f"{path}:{node.lineno}"
        for room, path, tree in inside
        if room not in FACES
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and last_name(node.func) == "print"
    ]


# Functions ------------------------------------------------------------------------------------------------------------


def long_functions(root: pathlib.Path) -> list[str]:
    return [f"{place}: {f.name}" for place, f in nodes(root, Function) if _body_length(f) > LONGEST_FUNCTION]


def crowded_functions(root: pathlib.Path) -> list[str]:
    """Functions of many arguments that may be given without their names."""
    return [f"{place}: {f.name}" for place, f in nodes(root, Function) if len(_positional(f)) > MOST_POSITIONAL]


def silent_functions(root: pathlib.Path) -> list[str]:
    """Public functions and methods whose docstring is missing or repeats the name. Overrides inherit theirs."""
    return [
        f"{path}:{f.lineno}: {f.name}"
        for path, _, tree in sources(root)
        for f in _public_functions(tree)
        if not decorators(f) & {"override", "overload"} and _says_nothing(f)
    ]


def _body_length(function: Function) -> int:
    """Lines from the first statement after the docstring to the end."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return body[-1].end_lineno - body[0].lineno + 1


def _positional(function: Function) -> list[str]:
    names = [arg.arg for arg in function.args.posonlyargs + function.args.args]
    return [name for name in names if name not in {"self", "cls"}]


def _says_nothing(function: Function) -> bool:
    text = (ast.get_docstring(function) or "").strip(".").lower()
    return text in {"", function.name.lower(), function.name.replace("_", " ").lower()}


def _public_functions(tree: ast.Module) -> Iterator[Function]:
    """Public functions of the module and public methods of its public classes."""
    for body in (tree.body, *(node.body for node in tree.body if _is_public(node, ast.ClassDef))):
        yield from (node for node in body if _is_public(node, Function))


def _is_public(node: ast.AST, kind: type) -> bool:
    return isinstance(node, kind) and not node.name.startswith("_")


def decorators(function: Function) -> set[str]:
    """Names of the decorators that are no calls."""
    return {last_name(d) for d in function.decorator_list if not isinstance(d, ast.Call)}


# Classes --------------------------------------------------------------------------------------------------------------


def concrete_parents(root: pathlib.Path) -> list[str]:
    """Subclasses of a class of the package that is neither called Abstract… nor an exception."""
    parents = _parents(root)
    return [
        f"{place}: {node.name}({base})"
        for place, node in nodes(root, ast.ClassDef)
        for base in map(last_name, node.bases)
        if base in parents and not _is_abstract(base) and not _is_exception(base, parents)
    ]


def missing_overrides(root: pathlib.Path) -> list[str]:
    """Methods that implement or replace one of an Abstract… class without saying `@override`."""
    parents, declared = _parents(root), _declared(root)
    return [
        f"{place}: {node.name}.{method.name}"
        for place, node in nodes(root, ast.ClassDef)
        for method in _methods(node)
        if any(method.name in declared.get(base, ()) for base in _ancestors(node.name, parents))
        and not decorators(method) & {"override", "abstractmethod"}
    ]


def _parents(root: pathlib.Path) -> dict[str, set[str]]:
    """Names of the bases of every class; classes of one name share an entry."""
    found: dict[str, set[str]] = {}
    for _, node in nodes(root, ast.ClassDef):
        found.setdefault(node.name, set()).update(map(last_name, node.bases))
    return found


def _declared(root: pathlib.Path) -> dict[str, set[str]]:
    """Names of the methods of every Abstract… class."""
    classes = [node for _, node in nodes(root, ast.ClassDef) if _is_abstract(node.name)]
    return {node.name: {method.name for method in _methods(node)} for node in classes}


def _methods(node: ast.ClassDef) -> list[Function]:
    return [method for method in node.body if isinstance(method, Function)]


def _ancestors(name: str, parents: dict[str, set[str]]) -> set[str]:
    """All classes of the package above this one."""
    found: set[str] = set()
    waiting = list(parents.get(name, ()))
    while waiting:
        base = waiting.pop()
        if base in parents and base not in found:
            found.add(base)
            waiting.extend(parents[base])
    return found - {name}


def _is_abstract(name: str) -> bool:
    return name.lstrip("_").startswith("Abstract")


def _is_exception(name: str, parents: dict[str, set[str]]) -> bool:
    """Whether the class descends from a built-in exception: exceptions form the documented tree of exit codes."""
    family = {name, *_ancestors(name, parents)}
    return any(base.endswith(("Error", "Exception")) for entry in family for base in parents[entry])
