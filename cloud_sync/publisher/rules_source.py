"""From authored rules, whose conditions are CEL, to the rules of a bundle.

An authored rule is a bundle's rule (docs/rules.md) with CEL text in ``when``. All errors of all
rules are found before anything is refused, so that an author corrects a file in one round.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloud_sync.publisher.cel import CelCompiler, RuleSourceError
from terminal_client.core.reading import DocumentError
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope, read_rule, read_rules


class RulesSourceError(ValueError):
    """Authored rules cannot be published; ``errors`` are all that was found, in order."""

    def __init__(self, errors: tuple[RuleSourceError | DocumentError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


class RulesCompiler:
    """Compiles authored rules. Thread-safe; reusable."""

    def __init__(self) -> None:
        self._compilers = {scope: CelCompiler(VARIABLES[scope], SCHEMA) for scope in Scope}

    def compile(self, authored: object, path: str = "rules") -> list[dict[str, object]]:
        """Return the bundle's rules for ``authored``, a list of rules with CEL in ``when``.

        Each keeps its text in ``cel``, for people.

        Raises:
            RulesSourceError: something cannot be published.
        """
        if not isinstance(authored, list):
            raise RulesSourceError((DocumentError(path, "is not a list", "write [...]"),))
        compiled: list[dict[str, object]] = []
        errors: list[RuleSourceError | DocumentError] = []
        for number, rule in enumerate(authored):
            try:
                compiled.append(self._rule(rule, f"{path}[{number}]"))
            except (RuleSourceError, DocumentError) as error:
                errors.append(error)
        if not errors:
            try:
                read_rules(compiled, path)
            except DocumentError as error:
                errors.append(error)
        if errors:
            raise RulesSourceError(tuple(errors))
        return compiled

    def compile_promotions(self, authored: object, path: str = "promotions") -> object:
        """Return the bundle's promotions for ``authored``, with CEL text in ``eligible``.

        Each keeps its text in ``cel``, for people. What is no list of objects comes back as
        it is: reading the bundle refuses it by name.

        Raises:
            RulesSourceError: a condition cannot be published.
        """
        if not isinstance(authored, list):
            return authored
        compiled: list[object] = []
        errors: list[RuleSourceError | DocumentError] = []
        for number, promotion in enumerate(authored):
            try:
                compiled.append(self._promotion(promotion, f"{path}[{number}]"))
            except RuleSourceError as error:
                errors.append(error)
        if errors:
            raise RulesSourceError(tuple(errors))
        return compiled

    def _promotion(self, promotion: object, path: str) -> object:
        text = promotion.get("eligible") if isinstance(promotion, Mapping) else None
        if not isinstance(promotion, Mapping) or not isinstance(text, str):
            return promotion
        name = str(promotion.get("id", path))
        condition = self._compilers[Scope.BASKET].compile(name, text)
        return {**promotion, "eligible": condition, "cel": text}

    def _rule(self, rule: object, path: str) -> dict[str, object]:
        if not isinstance(rule, Mapping):
            raise DocumentError(path, "is not an object", "write {...}")
        text = rule.get("when")
        if not isinstance(text, str):
            raise DocumentError(f"{path}.when", f"is {text!r:.40}", "write a CEL condition")
        scope = rule.get("scope", "basket")
        if scope not in self._compilers:
            raise DocumentError(f"{path}.scope", f"is {scope!r:.40}", "write basket or line")
        condition = self._compilers[scope].compile(str(rule.get("id", path)), text)
        compiled = {**rule, "when": condition, "cel": text}
        # The rest of the rule is read as a register will read it, for the first error in it.
        read_rule(compiled, path)
        return compiled
