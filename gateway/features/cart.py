"""A cart as numbers, for models that take whole carts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.inference.runtime import Tensors
from terminal_client.core.manifest import ModelManifest
from terminal_client.core.reading import DocumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class CartEncoder:
    """Numbers items and stores as the manifest's ``cart`` says."""

    items: tuple[str, ...]
    number_of: dict[str, int]
    store_number_of: dict[str, int]
    length: int

    @classmethod
    def load(cls, folder: Path, manifest: ModelManifest) -> CartEncoder:
        """Read vocabulary and stores; raises DocumentError, OSError."""
        cart = manifest.cart
        if cart is None:
            raise DocumentError("manifest.cart", "is missing", "add it")
        items = _lines(folder / cart.vocabulary)
        return cls(
            items=items,
            number_of={item: number for number, item in enumerate(items, 1)},
            store_number_of={
                store: number for number, store in enumerate(_lines(folder / cart.stores), 1)
            },
            length=cart.length,
        )

    def encode(self, item_ids: Iterable[str], store_id: str) -> Tensors | None:
        """Return ``cart`` int64 [1, length] and ``store`` int64 [1].

        The last ``length`` different items that the model knows; None: it knows none.
        """
        known = dict.fromkeys(self.number_of[i] for i in item_ids if i in self.number_of)
        numbers = list(known)[-self.length :]
        if not numbers:
            return None
        cart = np.zeros((1, self.length), np.int64)
        cart[0, : len(numbers)] = numbers
        store = np.array([self.store_number_of.get(store_id, 0)], np.int64)
        return {"cart": cart, "store": store}

    def item(self, number: int) -> str | None:
        """Return the item of an output's number; None: padding, or out of range."""
        return self.items[number - 1] if 1 <= number <= len(self.items) else None


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as exc:
        raise DocumentError(path.name, "is not UTF-8", "write one id per line") from exc
