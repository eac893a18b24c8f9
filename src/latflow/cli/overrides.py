"""Options that replace keys of the study: ``--action.coupling 6.5``, ``--lattice.shape 8 8``, ``--seed=2``.

Any option whose name contains a dot, or is a key at top level, is a key of the study. Each is converted to a hidden
option ``--set key=value`` before arguments are parsed, so that only the schema of studies lists the keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from latflow.errors import UsageError

TOP_LEVEL = ("name", "seed")
"""Keys outside any table, repeated here so that `--help` need not load the schema; a test compares the two."""

SEVERAL = ("--shape", "--samplers", "--observables", "--against", "--index")
"""Options of the commands that take several words; a file or directory behind them is none of these words."""

SET = "--set"
"""The hidden option that carries one replaced key."""


def gather_overrides(arguments: Sequence[str]) -> list[str]:
    """The arguments with every key of the study as one ``--set key=value``.

    Raises:
        UsageError: If a key comes without a value.
    """
    return list(_rewritten(list(arguments)))


def as_mapping(settings: Sequence[str]) -> Mapping[str, str]:
    """Values by key, from ``key=value`` words.

    Raises:
        UsageError: If a key is given twice or a word has no ``=``.
    """
    mapping: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"{SET} {setting}", allowed="key=value")
        if key in mapping:
            raise UsageError(f"--{key}", value="given twice", allowed="once")
        mapping[key] = value
    return mapping


def _rewritten(arguments: list[str]) -> Iterator[str]:
    position, several = 0, list[str]()  # options of several words come last, where nothing follows that they could take
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if argument == "--":
            yield from (*several, *arguments[position - 1 :])
            return
        if argument in SEVERAL:
            words = _value(arguments[position:], several=True)
            position += len(words)
            several += [argument, *words]
            continue
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not _names_a_key(key):
            yield argument
            continue
        if not equals:
            words = _value(arguments[position:], several=_takes_several(key))
            if not words:
                raise UsageError(f"--{key}", value="no value", allowed=f"--{key} VALUE")
            position += len(words)
            value = " ".join(words)
        yield from (SET, f"{key}={value}")
    yield from several


def _names_a_key(name: str) -> bool:
    return "." in name or name in TOP_LEVEL


def _takes_several(name: str) -> bool:
    from latflow.study.config import StudyConfig
    from latflow.study.config.scaling import ScalingConfig
    from latflow.study.config.schema import keys

    return any(key.path == name and key.shape == "list" for key in (*keys(StudyConfig), *keys(ScalingConfig)))


def _value(following: Sequence[str], *, several: bool) -> list[str]:
    """The words that belong to an option: one, or for lists all up to the next option, a file or a directory."""
    words: list[str] = []
    for word in following:
        if word.startswith("--") or (words and (not several or _is_path(word))):
            break
        words.append(word)
    return words


def _is_path(word: str) -> bool:
    """Whether a word names a file or directory: it has a slash, ends like a study, or is there and no number."""
    return "/" in word or word.endswith(".toml") or (not word.isdecimal() and Path(word).exists())
