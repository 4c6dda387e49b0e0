"""Reading signed JSON documents strictly: every error names the key and the remedy.

``Fields`` walks one JSON object. It refuses missing, mistyped, out-of-range and unknown
keys, so that a document either means exactly what its author wrote or is not loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Value: TypeAlias = object
"""Any JSON value. Inside ``Fields``, ``object`` is a method."""


class DocumentError(ValueError):
    """A document cannot be used. ``path`` names the key, ``remedy`` what to write."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class Fields:
    """One JSON object being read; ``close`` refuses keys that nobody asked for."""

    def __init__(self, value: object, path: str) -> None:
        """Raises: DocumentError: ``value`` is not an object."""
        if not isinstance(value, Mapping):
            raise DocumentError(path, "is not an object", "write {...}")
        self._value: Mapping[str, object] = value
        self._asked: set[str] = set()
        self.path = path

    def has(self, key: str) -> bool:
        """Tell whether ``key`` is there; it counts as asked for."""
        return not self._absent(key)

    def _absent(self, key: str) -> bool:
        self._asked.add(key)
        return key not in self._value

    def raw(self, key: str) -> object:
        """Return the value of a required key."""
        self._asked.add(key)
        if key not in self._value:
            raise DocumentError(self.at(key), "is missing", "add it")
        return self._value[key]

    def integer(
        self, key: str, low: int = -(2**63), high: int = 2**63 - 1, default: int | None = None
    ) -> int:
        """Return an integer in ``[low, high]``; without a default the key is required."""
        if default is not None and self._absent(key):
            return default
        value = self.raw(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise DocumentError(
                self.at(key), f"is {value!r:.40}", f"write an integer in [{low}, {high}]"
            )
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Return a real number in ``[low, high]``."""
        if default is not None and self._absent(key):
            return default
        value = self.raw(key)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not low <= value <= high
        ):
            raise DocumentError(
                self.at(key), f"is {value!r:.40}", f"write a number in [{low}, {high}]"
            )
        return float(value)

    def text(self, key: str, default: str | None = None, longest: int = 4096) -> str:
        """Return a string of at most ``longest`` characters."""
        if default is not None and self._absent(key):
            return default
        value = self.raw(key)
        if not isinstance(value, str) or len(value) > longest:
            raise DocumentError(
                self.at(key), f"is {value!r:.40}", f"write a string of at most {longest} characters"
            )
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Return a boolean."""
        if default is not None and self._absent(key):
            return default
        value = self.raw(key)
        if not isinstance(value, bool):
            raise DocumentError(self.at(key), f"is {value!r:.40}", "write true or false")
        return value

    def choice(self, key: str, choices: Mapping[str, T], default: str | None = None) -> T:
        """Return what the word at ``key`` stands for."""
        word = self.text(key, default)
        if word not in choices:
            raise DocumentError(
                self.at(key), f"is {word!r:.40}", f"write one of {', '.join(sorted(choices))}"
            )
        return choices[word]

    def items(self, key: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Return a list, each element read by ``read(value, path)``; absent: empty."""
        self._asked.add(key)
        value = self._value.get(key, [])
        if not isinstance(value, list | tuple):
            raise DocumentError(self.at(key), "is not a list", "write [...]")
        return tuple(read(item, f"{self.at(key)}[{i}]") for i, item in enumerate(value))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; absent: empty."""
        return self.items(key, _text)

    def table(self, key: str, read: Callable[[object, str], T]) -> dict[str, T]:
        """Return an object with free keys, each value read by ``read``; absent: empty."""
        self._asked.add(key)
        inner = Fields(self._value.get(key, {}), self.at(key))
        return {name: read(value, inner.at(name)) for name, value in inner.pairs()}

    def object(self, key: str) -> Fields:
        """Return a required inner object."""
        return Fields(self.raw(key), self.at(key))

    def pairs(self) -> Iterator[tuple[str, Value]]:
        """Yield every key and value, all counted as asked for."""
        for key, value in self._value.items():
            if not isinstance(key, str):
                raise DocumentError(self.path, f"has the key {key!r:.40}", "use strings as keys")
            self._asked.add(key)
            yield key, value

    def at(self, key: str) -> str:
        """Return the path of ``key``."""
        return f"{self.path}.{key}" if self.path else key

    def close(self) -> None:
        """Refuse the object if it holds keys that nobody asked for."""
        unknown = sorted(str(key) for key in self._value.keys() - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise DocumentError(
                self.at(unknown[0]), "is not a known key", f"remove it (known: {known})"
            )


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise DocumentError(path, f"is {value!r:.40}", "write a string")
    return value
