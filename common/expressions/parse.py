"""From the text of an expression to a typed one, with every mistake found before any record is read.

The form is Python's own, so its parser reads it; nothing is ever executed, and only the forms below are
taken. Names are paths of fields, as in contracts: `key`, `value.advertisementId`.

    value.type == "click" and value.price * 100 >= 50
    value.country in ("nl", "be") or value.page is None
    lower(value.name) if value.name is not None else "unknown"
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.compute as pc

from common.errors import AdstreamError
from common.expressions.functions import LARGEST, whole
from common.expressions.nodes import Call, Expression, Field, Kind, Literal
from common.names import nearest

LONGEST = 4_000
"""How many characters an expression may have."""
_NUMERIC = (Kind.INTEGER, Kind.NUMBER)
_PLAIN = (Kind.TEXT, *_NUMERIC, Kind.BOOLEAN, Kind.TIME)
_COMPARISONS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_CALCULATIONS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Signature:
    """What a function takes and gives.

    Attributes:
        takes: The kinds that each argument may have.
        gives: The kind of its result.
        pattern: Whether its last argument must stand in the text itself.
    """

    takes: tuple[tuple[Kind, ...], ...]
    gives: Kind
    pattern: bool = False


_TEXT = (Kind.TEXT,)
FUNCTIONS: Mapping[str, Signature] = {
    "lower": Signature((_TEXT,), Kind.TEXT),
    "upper": Signature((_TEXT,), Kind.TEXT),
    "trim": Signature((_TEXT,), Kind.TEXT),
    "length": Signature((_TEXT,), Kind.INTEGER),
    "starts_with": Signature((_TEXT, _TEXT), Kind.BOOLEAN, pattern=True),
    "ends_with": Signature((_TEXT, _TEXT), Kind.BOOLEAN, pattern=True),
    "contains": Signature((_TEXT, _TEXT), Kind.BOOLEAN, pattern=True),
    "matches": Signature((_TEXT, _TEXT), Kind.BOOLEAN, pattern=True),
    "text": Signature((_PLAIN,), Kind.TEXT),
    "integer": Signature((_PLAIN,), Kind.INTEGER),
    "number": Signature(((Kind.TEXT, *_NUMERIC),), Kind.NUMBER),
    "time": Signature(((Kind.INTEGER, Kind.TEXT),), Kind.TIME),
}
"""The functions with one form; `coalesce` takes any number of arguments of one kind."""


def parse(text: str, schema: pa.Schema, place: str) -> Expression:
    """The typed expression of a text.

    Args:
        text: The expression.
        schema: What records look like: the Arrow schema of their contract.
        place: Where the text stands, for messages.

    Raises:
        AdstreamError: It is malformed, names a field or function that is not there, or its kinds don't fit.
    """
    if len(text) > LONGEST:
        raise AdstreamError(f"{place}: {len(text)} characters are too many", f"use at most {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _Parser(schema, place).expression(tree)
    except SyntaxError as error:
        raise AdstreamError(f"{place}: '{text}' is malformed ({error.msg})", "correct it") from None
    except (ValueError, RecursionError, MemoryError) as error:  # what the parser makes of NUL and of deep nesting
        raise AdstreamError(f"{place}: it can't be read ({error})", "make it simpler") from None


def parse_predicate(text: str, schema: pa.Schema, place: str) -> Expression:
    """As `parse`, for what must be true or false.

    Raises:
        AdstreamError: As `parse`, or it gives something else.
    """
    expression = parse(text, schema, place)
    if expression.kind is not Kind.BOOLEAN:
        raise AdstreamError(f"{place}: '{text}' gives {_named(expression)}", "write what is true or false")
    return expression


@dataclass(frozen=True)
class _Parser:
    schema: pa.Schema
    place: str

    def expression(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant():
                return self.literal(node)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self.field(node)
            case ast.BoolOp(op, values):
                word = "and" if isinstance(op, ast.And) else "or"
                return self.all_of(word, [self.expression(value) for value in values])
            case ast.UnaryOp(ast.Not() | ast.USub() as sign, operand):
                value = self.expression(operand)
                return self.negated(value) if isinstance(sign, ast.Not) else self.minus(value)
            case ast.BinOp(left, op, right) if type(op) in _CALCULATIONS:
                return self.calculation(_CALCULATIONS[type(op)], self.expression(left), self.expression(right))
            case ast.Compare(left, ops, rights):
                lefts = [left, *rights[:-1]]
                return self.all_of("and", [self.compare(*pair) for pair in zip(lefts, ops, rights, strict=True)])
            case ast.IfExp(test, body, orelse):
                then, otherwise = self.alike("if", [self.expression(body), self.expression(orelse)])
                return Call("if", (self.truth("if", self.expression(test)), then, otherwise), then.kind)
            case ast.Call(ast.Name(function), arguments, []):
                return self.call(function, [self.expression(argument) for argument in arguments])
        raise self.wrong(f"'{ast.unparse(node)}' is not part of the language", "see common/expressions/README.md")

    def literal(self, node: ast.Constant) -> Literal:
        match node.value:
            case None:
                return Literal(None, Kind.NOTHING)
            case bool():
                return Literal(node.value, Kind.BOOLEAN)
            case str():
                node.value.encode()  # half a surrogate pair is no text, and a ValueError
                return Literal(node.value, Kind.TEXT)
            case int() if node.value <= LARGEST:
                return Literal(node.value, Kind.INTEGER)
            case float() if abs(node.value) < float("inf"):
                return Literal(node.value, Kind.NUMBER)
        raise self.wrong(f"'{ast.unparse(node)}' can't be a value here", "write a text, number, True, False or None")

    def field(self, node: ast.expr) -> Field:
        names = self.names(node)
        fields, path, nullable = list(self.schema), "", False
        for name in names:
            found = next((field for field in fields if field.name == name), None)
            path, shown = f"{path}.{name}" if path else name, path
            if found is None:
                known = [f"{shown}.{field.name}" if shown else field.name for field in fields]
                raise self.wrong(f"unknown field '{path}'", nearest(path, known))
            type_, nullable = found.type, nullable or found.nullable
            fields = list(type_) if pa.types.is_struct(type_) else []
        return Field(names, type_, nullable)

    def names(self, node: ast.expr) -> tuple[str, ...]:
        match node:
            case ast.Name(name):
                return (name,)
            case ast.Attribute(parent, name) | ast.Subscript(parent, ast.Constant(str() as name)):
                return (*self.names(parent), name)
        raise self.wrong(f"'{ast.unparse(node)}' is not a field", "write its path, such as value.advertisementId")

    def all_of(self, word: str, parts: Sequence[Expression]) -> Expression:
        whole_, *others = parts
        for other in others:
            whole_ = Call(word, (self.truth(word, whole_), self.truth(word, other)), Kind.BOOLEAN)
        return whole_

    def negated(self, operand: Expression) -> Expression:
        return Call("not", (self.truth("not", operand),), Kind.BOOLEAN)

    def minus(self, operand: Expression) -> Expression:
        if isinstance(operand, Literal) and operand.kind in _NUMERIC and isinstance(operand.value, int | float):
            return replace(operand, value=-operand.value)
        return self.calculation("-", Literal(0, Kind.INTEGER), operand)

    def calculation(self, sign: str, left: Expression, right: Expression) -> Expression:
        if sign == "+" and left.kind is right.kind is Kind.TEXT:
            return Call(sign, (left, right), Kind.TEXT)
        if left.kind not in _NUMERIC or right.kind not in _NUMERIC:
            raise self.wrong(f"'{sign}' between {_named(left)} and {_named(right)}", "convert: integer(…), number(…)")
        whole_ = left.kind is right.kind is Kind.INTEGER and sign != "/"
        return Call(sign, (left, right), Kind.INTEGER if whole_ else Kind.NUMBER)

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Expression:
        value = self.expression(left)
        if isinstance(op, ast.Is | ast.IsNot):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise self.wrong(f"'is {ast.unparse(right)}'", "after 'is' stands None; compare values with ==")
            missing = Call("is None", (value,), Kind.BOOLEAN)
            return missing if isinstance(op, ast.Is) else self.negated(missing)
        if isinstance(op, ast.In | ast.NotIn):
            found = self.membership(value, right)
            return found if isinstance(op, ast.In) else self.negated(found)
        sign, other = _COMPARISONS[type(op)], self.expression(right)
        if Kind.NOTHING in (value.kind, other.kind):
            raise self.wrong(f"'{sign} None' is never true", "write 'is None' or 'is not None'")
        return Call(sign, self.comparable(sign, value, other), Kind.BOOLEAN)

    def membership(self, value: Expression, choices: ast.expr) -> Expression:
        if not isinstance(choices, ast.Tuple | ast.List | ast.Set) or not choices.elts:
            raise self.wrong(f"'in {ast.unparse(choices)}'", 'list the values: in ("a", "b")')
        found = [self.expression(choice) for choice in choices.elts]
        for choice in found:
            if not isinstance(choice, Literal) or choice.kind is Kind.NOTHING:
                raise self.wrong("'in' takes values only, and no None", "compare fields with ==, None with 'is'")
            self.comparable("in", value, choice)
        if value.kind is Kind.INTEGER and any(choice.kind is Kind.NUMBER for choice in found):
            value = Call("number", (value,), Kind.NUMBER)
        return Call("in", (value, *found), Kind.BOOLEAN)

    def call(self, function: str, arguments: list[Expression]) -> Expression:
        if function == "coalesce" and arguments:
            alike = self.alike(function, arguments)
            return Call(function, alike, alike[0].kind)
        signature = FUNCTIONS.get(function)
        if signature is None:
            raise self.wrong(f"unknown function '{function}'", nearest(function, [*FUNCTIONS, "coalesce"]))
        if len(arguments) != len(signature.takes):
            wanted = len(signature.takes)
            raise self.wrong(f"{function}() has {len(arguments)} arguments", f"it takes {wanted}")
        for argument, kinds in zip(arguments, signature.takes, strict=True):
            if argument.kind not in kinds:
                expected = " or ".join(kind.value for kind in kinds)
                raise self.wrong(f"{function}() of {_named(argument)}", f"it takes {expected}")
        if function == "time" and arguments[0].kind is Kind.TEXT:
            return self.moment(arguments[0])
        if signature.pattern:
            self.check_pattern(function, arguments[-1])
        return Call(function, tuple(arguments), signature.gives)

    def moment(self, argument: Expression) -> Literal:
        """A time that is written as ISO 8601; without an offset it is UTC."""
        if not isinstance(argument, Literal):
            raise self.wrong(f"time() of {_named(argument)}", "give it integer(…), in epoch ms, or a text as it stands")
        text = str(argument.value)
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise self.wrong(f"time('{text}')", "write it as '2026-01-31' or '2026-01-31T12:00:00Z'") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return Literal((since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000, Kind.TIME)

    def check_pattern(self, function: str, argument: Expression) -> None:
        if not isinstance(argument, Literal):
            raise self.wrong(f"{function}() with {_named(argument)}", "its last argument must be a text as it stands")
        if function == "matches":
            try:
                pc.match_substring_regex(pa.array(["a"]), whole(str(argument.value)))
            except pa.ArrowInvalid as error:
                raise self.wrong(f"matches() with '{argument.value}' ({error})", "correct the pattern (RE2)") from None

    def alike(self, word: str, parts: Sequence[Expression]) -> tuple[Expression, ...]:
        """The parts, of one kind: integers become numbers beside numbers, None anything."""
        kinds = {part.kind for part in parts} - {Kind.NOTHING}
        if kinds == set(_NUMERIC):
            kinds = {Kind.NUMBER}
            parts = [Call("number", (p,), Kind.NUMBER) if p.kind is Kind.INTEGER else p for p in parts]
        if len(kinds) != 1 or Kind.OTHER in kinds:
            named = ", ".join(_named(part) for part in parts)
            raise self.wrong(f"'{word}' mixes {named}", "make them one kind, such as text(…)")
        (kind,) = kinds
        return tuple(Literal(None, kind) if part.kind is Kind.NOTHING else part for part in parts)

    def comparable(self, sign: str, left: Expression, right: Expression) -> tuple[Expression, Expression]:
        numeric = left.kind in _NUMERIC and right.kind in _NUMERIC
        if not numeric and (left.kind is not right.kind or left.kind not in _PLAIN):
            raise self.wrong(f"'{sign}' between {_named(left)} and {_named(right)}", "compare things of one kind")
        return left, right

    def truth(self, word: str, part: Expression) -> Expression:
        if part.kind is not Kind.BOOLEAN:
            raise self.wrong(f"'{word}' with {_named(part)}", "write what is true or false")
        return part

    def wrong(self, problem: str, remedy: str) -> AdstreamError:
        return AdstreamError(f"{self.place}: {problem}", remedy)


def _named(expression: Expression) -> str:
    """An expression for messages: what it is, and its kind."""
    if isinstance(expression, Field):
        return f"{expression.path} ({expression.kind.value})"
    if isinstance(expression, Literal):
        return f"{expression.value!r}" if expression.kind is not Kind.TIME else "a time"
    return f"{'an' if expression.kind is Kind.INTEGER else 'a'} {expression.kind.value}"
