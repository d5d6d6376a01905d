"""From what the config says to rules that run, with every mistake found at start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from common.contracts.contract import Contract, load, streams
from common.errors import AdstreamError
from common.expressions.nodes import Call, Expression, Field, Kind, Literal, kind_of
from common.expressions.parse import parse, parse_predicate
from common.expressions.reachable import contradicts, is_covered
from common.names import nearest, pick
from common.operators.route import Branch, Rule, Rules
from common.streams.conform import symbols_at
from jobs.routing.settings import BranchSettings, RuleSettings, Settings

_CONVERTED = (Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.TIME)
"""The kinds that have a function of their name."""


def compile_rules(settings: Settings) -> Rules:
    """The rules of a config.

    Raises:
        AdstreamError: A stream, field, operator, type or mapping is wrong, two branches have one stream, or a
            rule can never be the one that counts.
    """
    source = load(pick("stream", settings.source, streams(), "routing.source"))
    if source.meta.kind != "event" or source.meta.event_time is None:
        raise AdstreamError(f"routing.source: '{source.stream}' has no event time", "split a stream of events")
    wanted = parse_predicate(settings.filter, source.arrow, "routing.filter")
    branches = tuple(_branch(branch, source) for branch in settings.branches)
    _check_single(settings.branches)
    rules = Rules(source, wanted, branches)
    _check_reachable(rules)
    return rules


def _branch(branch: BranchSettings, source: Contract) -> Branch:
    place = f"routing: branch '{branch.stream}'"
    contract = load(pick("stream", branch.stream, streams(), place))
    places = [place] if not branch.merge else [f"{place}, rule {n}" for n in range(1, len(branch.merge) + 1)]
    made = (_Mapping(source, contract, place).rule(rule) for place, rule in zip(places, branch.rules, strict=True))
    return Branch(contract, tuple(made))


@dataclass(frozen=True)
class _Mapping:
    """One rule's way from the source's contract to the branch's.

    Attributes:
        source: The contract of the records.
        target: The contract of the branch.
        place: Where the rule stands, for messages.
    """

    source: Contract
    target: Contract
    place: str

    def rule(self, rule: RuleSettings) -> Rule:
        fields = list(self.target.arrow.field("value").type)
        known = [field.name for field in fields]
        for name in rule.value:
            if name not in known:
                raise AdstreamError(
                    f"{self.place}: '{self.target.stream}' has no field 'value.{name}'", nearest(name, known)
                )
        where = parse_predicate(rule.where, self.source.arrow, f"{self.place}, where")
        key = self.made(rule.key, "key", self.target.arrow.field("key"))
        value = (self.made(rule.value.get(field.name), f"value.{field.name}", field) for field in fields)
        return Rule(where, key, tuple(value))

    def made(self, text: str | None, path: str, field: pa.Field) -> Expression:
        """The expression of a field of the branch; without one, it is the record's field of the same path."""
        place = f"{self.place}, {path}"
        if text is None:
            fields = [f"value.{child.name}" for child in self.source.arrow.field("value").type]
            if path != "key" and path not in fields:
                raise AdstreamError(
                    f"{place}: there is no expression, and '{self.source.stream}' has no such field",
                    f"say what it is made of, one of {', '.join(fields)}",
                )
        return self.fitted(parse(path if text is None else text, self.source.arrow, place), field, path, place)

    def fitted(self, expression: Expression, field: pa.Field, path: str, place: str) -> Expression:
        """The expression in the kind of the field that it becomes."""
        wanted, given = kind_of(field.type), expression.kind
        if path == "key" and wanted not in (Kind.TEXT, Kind.INTEGER):
            raise AdstreamError(
                f"{place}: the key of '{self.target.stream}' is not a text or an integer", "choose another"
            )
        if given is Kind.NOTHING:
            if not field.nullable:
                raise AdstreamError(f"{place}: it is None, but is never null in '{self.target.stream}'", "give a value")
            return Literal(None, wanted) if wanted is not Kind.OTHER else expression
        if wanted is Kind.NUMBER and given is Kind.INTEGER:
            return Call("number", (expression,), Kind.NUMBER)
        same = isinstance(expression, Field) and expression.type == field.type if wanted is Kind.OTHER else True
        if given is not wanted or not same:
            remedy = f"convert it with {wanted.value}(…)" if wanted in _CONVERTED else "choose another"
            raise AdstreamError(
                f"{place}: it gives {given.value}, but is {wanted.value} in '{self.target.stream}'", remedy
            )
        if pa.types.is_dictionary(field.type):
            self.check_symbols(expression, path, place)
        return expression

    def check_symbols(self, expression: Expression, path: str, place: str) -> None:
        """The values that stand in the text itself are symbols of the enum; others are judged as they come."""
        symbols = symbols_at(self.target, path)
        for value in _results(expression):
            if value not in symbols:
                raise AdstreamError(f"{place}: '{value}' is not one of its values", nearest(value, symbols))


def _results(expression: Expression) -> Iterator[str]:
    """The texts that an expression may give as they stand."""
    match expression:
        case Literal(str() as value):
            yield value
        case Call("if", (_, *results)) | Call("coalesce", results):
            for result in results:
                yield from _results(result)


def _check_single(branches: Sequence[BranchSettings]) -> None:
    seen: set[str] = set()
    for branch in branches:
        if branch.stream in seen:
            raise AdstreamError(
                f"routing: two branches write '{branch.stream}'", "make them one branch, with a rule each below 'merge'"
            )
        seen.add(branch.stream)


def _check_reachable(rules: Rules) -> None:
    """No rule is a contradiction, and none is left without a record by those before it."""

    def symbols(field: Field) -> Sequence[str] | None:
        return symbols_at(rules.source, field.path) if pa.types.is_dictionary(field.type) else None

    if contradicts(rules.wanted, symbols):
        raise AdstreamError("routing.filter: it is never true", "correct it")
    earlier: list[tuple[str, Expression]] = [("the filter", Call("not", (rules.wanted,), Kind.BOOLEAN))]
    for name, where in _named(rules):
        if contradicts(where, symbols):
            raise AdstreamError(f"routing: {name}, where: it is never true", "correct it")
        if is_covered(where, [other for _, other in earlier], symbols):
            alone = (other for other, covering in earlier if is_covered(where, [covering], symbols))
            by = next(alone, "what stands before")
            raise AdstreamError(
                f"routing: {name} never gets a record, {by} takes them all", "move it up, or take it out"
            )
        earlier.append((name, where))


def _named(rules: Rules) -> Iterator[tuple[str, Expression]]:
    """Every rule's predicate, with a name for messages."""
    for branch in rules.branches:
        for number, rule in enumerate(branch.rules, start=1):
            which = f", rule {number}" if len(branch.rules) > 1 else ""
            yield f"branch '{branch.contract.stream}'{which}", rule.where
