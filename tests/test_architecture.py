"""The house rules that no linter knows, read from the source of every module."""

import ast
import importlib
import inspect
import pathlib
import pkgutil

import pytest

import latflow

ROOT = pathlib.Path(latflow.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
MODULES = [name for _, name, _ in pkgutil.walk_packages(latflow.__path__, "latflow.") if not name.endswith("__main__")]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
MOST_POSITIONAL = 6


def label(path):
    return str(path.relative_to(ROOT))


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def base_name(node):
    """Last component of a base class as written: `eqx.Module` → Module, `Generic[T]` → Generic."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id


CLASSES = {
    node.name: [base_name(base) for base in node.bases]
    for path in SOURCES
    for node in ast.walk(tree_of(path))
    if isinstance(node, ast.ClassDef)
}


def is_exception(name):
    return name in {"Exception", "LatflowError"} or any(is_exception(base) for base in CLASSES.get(name, []))


def test_every_class_is_abstract_or_final():
    """Only classes called Abstract… are subclassed; exceptions form the documented tree of exit codes."""
    concrete_parents = {
        f"{name}({base})"
        for name, bases in CLASSES.items()
        for base in bases
        if base in CLASSES and not base.lstrip("_").startswith("Abstract") and not is_exception(base)
    }
    # Models of the study schema share one frozen configuration of pydantic.
    assert {entry for entry in concrete_parents if not entry.endswith("(_Table)")} == set()


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_source_rules(path):
    tree, text = tree_of(path), path.read_text(encoding="utf-8")
    assert ast.get_docstring(tree), "a module begins with a docstring"
    assert len(text.splitlines()) <= LONGEST_MODULE
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"super", "hasattr", "eval", "exec"})
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "__future__" not in imports
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "pickle" not in plain | imports


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_functions_are_short_and_name_their_arguments(path):
    long = [f.name for f in functions(tree_of(path)) if _body_length(f) > LONGEST_FUNCTION]
    crowded = [f.name for f in functions(tree_of(path)) if len(_positional(f)) > MOST_POSITIONAL]
    assert long == []
    assert crowded == []


def _body_length(function):
    """Lines from the first statement after the docstring to the end."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return body[-1].end_lineno - body[0].lineno + 1


def _positional(function):
    names = [arg.arg for arg in function.args.posonlyargs + function.args.args]
    return [name for name in names if name not in {"self", "cls"}]


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_public_functions_say_what_they_do(path):
    """A docstring that says more than the name does. Overrides inherit theirs."""
    silent = []
    for node in _public_functions(tree_of(path)):
        inherits = any(base_name(d) in {"override", "overload"} for d in node.decorator_list if not _is_call(d))
        text = ast.get_docstring(node) or ""
        if not inherits and text.strip(".").lower() in {"", node.name.lower(), node.name.replace("_", " ")}:
            silent.append(node.name)
    assert silent == []


def _is_call(node):
    return isinstance(node, ast.Call)


def _public_functions(tree):
    """Public functions of the module and public methods of its public classes."""
    bodies = [tree.body, *(node.body for node in tree.body if _is_public(node, ast.ClassDef))]
    return [node for body in bodies for node in body if _is_public(node, ast.FunctionDef)]


def _is_public(node, kind):
    return isinstance(node, kind) and not node.name.startswith("_")


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_only_the_faces_print(path):
    if path.parts[len(ROOT.parts)] in {"cli", "cli.py", "report", "__main__.py"}:
        return
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    importlib.import_module(name)


def test_the_facade_delivers_its_names():
    assert all(getattr(latflow, name) is not None for name in latflow.__all__)
    assert set(latflow.__all__) <= set(dir(latflow))


def test_abstract_methods_are_overridden_explicitly():
    """Every implementation of an abstract method carries @override."""
    abstract = {
        method.name
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Abstract")
        for method in node.body
        if isinstance(method, ast.FunctionDef) and _decorators(method) & {"abstractmethod"}
    }
    missing = [
        f"{node.name}.{method.name}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and any(base.startswith("Abstract") for base in CLASSES[node.name])
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and method.name in abstract
        and not _decorators(method) & {"override", "abstractmethod"}
    ]
    assert missing == []


def _decorators(function):
    return {base_name(d) for d in function.decorator_list if not _is_call(d)}


def test_modules_of_the_annex_do_not_import_jax():
    for name in ("latflow.stats", "latflow.store", "latflow.report", "latflow.study.config"):
        module = importlib.import_module(name)
        source = inspect.getsource(module)
        assert "import jax" not in source
