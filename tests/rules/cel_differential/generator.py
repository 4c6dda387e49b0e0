"""Random well-typed rule expressions, as CEL text, and inputs to judge them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from terminal_client.core.expression_types import (
    BOOL,
    INT,
    INT64_MAX,
    INT64_MIN,
    STRING,
    Schema,
    ValueType,
    list_of,
    map_of,
)

INTS = list_of(INT)
STRINGS = list_of(STRING)
COUNTS = map_of(STRING, INT)
NAMES = map_of(INT, STRING)
GRID = list_of(INTS)
VALUE_TYPES = (INT, BOOL, STRING, INTS, STRINGS, COUNTS, NAMES, GRID)

# Few enough that keys are found, items are equal and operations overflow.
INT_CHOICES = (0, 1, -1, 2, 3, 7, -7, 10, 100, 2**31, 3037000500, INT64_MAX, INT64_MIN)
STRING_CHOICES = (
    "",
    "a",
    "b",
    "ab",
    "A",
    " 7",
    "12",
    "-0",
    "true",
    "t",
    "é",
    "\U0001f600x",
    '"\\\n',
)


def quoted(text: str) -> str:
    """Write a CEL string literal."""
    plain = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    return '"' + "".join(plain.get(c, c if c.isascii() else f"\\U{ord(c):08x}") for c in text) + '"'


class Expressions:
    """Draws expressions over declared variables and the fields of the messages among them."""

    def __init__(
        self, random: Random, variables: Mapping[str, ValueType], schema: Schema, enums: list[str]
    ) -> None:
        self._random = random
        self._schema = schema
        self._enums = enums
        self._scope = dict(variables)
        self._fresh = 0

    def draw(self, kind: ValueType, depth: int) -> str:
        """Return an expression of type ``kind``, nested at most about ``depth`` deep."""
        if depth <= 0 or self._random.random() < 0.1:
            return self._leaf(kind)
        makers: dict[str, list[Callable[[ValueType, int], str]]] = {
            "int": [self._arithmetic, self._arithmetic, self._size, self._to_int, self._element],
            "bool": [
                self._junction, self._junction, self._junction, self._comparison, self._comparison,
                self._text_test, self._membership, self._macro, self._macro, self._not, self._has,
                self._to_bool, self._element,
            ],
            "string": [self._concatenation, self._to_string, self._element],
            "list": [self._literal_list, self._concatenation, self._transform, self._transform],
            "map": [self._literal_map],
        }  # fmt: skip
        maker = self._random.choice([*makers[kind.kind], self._choice])
        return maker(kind, depth - 1)

    def _leaf(self, kind: ValueType) -> str:
        found = self._readable(kind)
        if found and self._random.random() < 0.7:
            return self._random.choice(found)
        return self._constant(kind)

    def _readable(self, kind: ValueType) -> list[str]:
        """The variables of a type, and the fields of the messages in scope."""
        found = [name for name, type_ in self._scope.items() if type_ == kind]
        for name, type_ in self._scope.items():
            found += self._fields(name, type_, kind)
        return found

    def _fields(self, owner: str, type_: ValueType, kind: ValueType) -> list[str]:
        found = []
        for name, field in self._schema.get(type_.message, {}).items():
            if field.type == kind:
                found.append(f"{owner}.{name}")
            elif field.type.kind == "message":
                found += self._fields(f"{owner}.{name}", field.type, kind)
        return found

    def _constant(self, kind: ValueType) -> str:
        if kind == BOOL:
            return self._random.choice(("true", "false"))
        if kind == INT and self._random.random() < 0.1:
            return self._random.choice(self._enums)
        if kind == INT:
            number = self._random.choice(INT_CHOICES)
            return f"({number})" if number < 0 else str(number)
        if kind == STRING:
            return quoted(self._random.choice(STRING_CHOICES))
        return self._literal_list(kind, 0) if kind.kind == "list" else self._literal_map(kind, 0)

    def _literal_list(self, kind: ValueType, depth: int) -> str:
        count = self._random.randint(1 if depth else 0, 3)
        items = [self.draw(kind.parameters[0], depth) for _ in range(count)]
        return f"[{', '.join(items)}]"

    def _literal_map(self, kind: ValueType, depth: int) -> str:
        key, value = kind.parameters
        choices = [0, 1, 2, -7] if key == INT else list(STRING_CHOICES[:5])
        keys = self._random.sample(choices, self._random.randint(0, 3))
        pairs = [
            f"{item if key == INT else quoted(str(item))}: {self.draw(value, depth)}"
            for item in keys
        ]
        return f"{{{', '.join(pairs)}}}"

    def _choice(self, kind: ValueType, depth: int) -> str:
        yes, no = self.draw(kind, depth), self.draw(kind, depth)
        return f"({self.draw(BOOL, depth)} ? {yes} : {no})"

    def _arithmetic(self, kind: ValueType, depth: int) -> str:
        if self._random.random() < 0.1:
            return f"(-({self.draw(kind, depth)}))"
        operator = self._random.choice("+-*/%")
        return f"({self.draw(kind, depth)} {operator} {self.draw(kind, depth)})"

    def _concatenation(self, kind: ValueType, depth: int) -> str:
        return f"({self.draw(kind, depth)} + {self.draw(kind, depth)})"

    def _size(self, kind: ValueType, depth: int) -> str:
        of = self._random.choice((STRING, INTS, STRINGS, COUNTS, NAMES, GRID))
        inner = self.draw(of, depth)
        return f"size({inner})" if self._random.random() < 0.5 else f"{inner}.size()"

    def _to_int(self, kind: ValueType, depth: int) -> str:
        return f"int({self.draw(self._random.choice((STRING, STRING, INT)), depth)})"

    def _to_bool(self, kind: ValueType, depth: int) -> str:
        return f"bool({self.draw(STRING, depth)})"

    def _to_string(self, kind: ValueType, depth: int) -> str:
        return f"string({self.draw(self._random.choice((INT, BOOL, STRING)), depth)})"

    def _element(self, kind: ValueType, depth: int) -> str:
        if kind == INT:
            of, key = self._random.choice(((INTS, INT), (COUNTS, STRING)))
        elif kind == STRING:
            of, key = self._random.choice(((STRINGS, INT), (NAMES, INT)))
        else:
            return self._has(kind, depth)
        if of == COUNTS and self._random.random() < 0.3:
            return f"{self.draw(of, depth)}.ab"
        return f"{self.draw(of, depth)}[{self.draw(key, depth)}]"

    def _junction(self, kind: ValueType, depth: int) -> str:
        operator = self._random.choice(("&&", "||"))
        parts = [self.draw(BOOL, depth) for _ in range(self._random.randint(2, 3))]
        return f"({f' {operator} '.join(parts)})"

    def _not(self, kind: ValueType, depth: int) -> str:
        return f"!({self.draw(BOOL, depth)})"

    def _comparison(self, kind: ValueType, depth: int) -> str:
        of = self._random.choice(VALUE_TYPES)
        ordered = of in (INT, BOOL, STRING)
        operator = self._random.choice(("==", "!=", "<", "<=", ">", ">=")[: 6 if ordered else 2])
        return f"({self.draw(of, depth)} {operator} {self.draw(of, depth)})"

    def _text_test(self, kind: ValueType, depth: int) -> str:
        function = self._random.choice(("contains", "startsWith", "endsWith"))
        return f"{self.draw(STRING, depth)}.{function}({self.draw(STRING, depth)})"

    def _membership(self, kind: ValueType, depth: int) -> str:
        of, key = self._random.choice(
            ((INTS, INT), (STRINGS, STRING), (COUNTS, STRING), (NAMES, INT), (GRID, INTS))
        )
        return f"({self.draw(key, depth)} in {self.draw(of, depth)})"

    def _has(self, kind: ValueType, depth: int) -> str:
        owners = [name for name, type_ in self._scope.items() if type_.kind == "message"]
        # Presence inside a oneof is not for rules (the compiler refuses it).
        owners = [name for name in owners if self._scope[name].message != "NamedValue"]
        if not owners or self._random.random() < 0.4:
            return f"has({self.draw(COUNTS, depth)}.ab)"
        owner = self._random.choice(owners)
        fields = self._schema[self._scope[owner].message]
        names = [name for name, field in fields.items() if field.type.kind != "message"]
        return f"has({owner}.{self._random.choice(names)})"

    def _macro(self, kind: ValueType, depth: int) -> str:
        function = self._random.choice(("all", "exists", "exists_one"))
        kinds = [*VALUE_TYPES[3:], *self._message_lists()]
        return self._comprehension(function, self._random.choice(kinds), depth, lambda: "")

    def _transform(self, kind: ValueType, depth: int) -> str:
        if self._random.random() < 0.4:
            return self._comprehension("filter", kind, depth, lambda: "")
        of = self._random.choice([INTS, STRINGS, *self._message_lists()])
        item = kind.parameters[0]
        body = lambda: self.draw(item, depth)  # noqa: E731
        if self._random.random() < 0.5:
            return self._comprehension("map", of, depth, body)
        return self._comprehension("filter_map", of, depth, body)

    def _comprehension(
        self, function: str, of: ValueType, depth: int, body: Callable[[], str]
    ) -> str:
        lists = self._readable(of)
        over = self._random.choice(lists) if lists else self.draw(of, depth)
        hidden = self._random.random() < 0.1 and self._fresh > 0
        self._fresh += 0 if hidden else 1
        name, outer = f"v{self._fresh}", dict(self._scope)
        self._scope[name] = of.parameters[0]
        inside = body() if function == "map" else self.draw(BOOL, depth)
        if function == "filter_map":
            function, inside = "map", f"{inside}, {body()}"
        self._scope = outer
        return f"{over}.{function}({name}, {inside})"

    def _message_lists(self) -> list[ValueType]:
        """The types of the lists of messages that can be read."""
        kinds = []
        for type_ in self._scope.values():
            for field in self._schema.get(type_.message, {}).values():
                of = field.type
                if of.kind == "list" and of.parameters[0].kind == "message":
                    kinds.append(of)
        return kinds
