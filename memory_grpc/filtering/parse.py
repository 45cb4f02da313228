"""The text of a filter to its checked tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from memory_grpc.errors import InvalidFilter
from memory_grpc.filtering.check import alone, checked
from memory_grpc.filtering.literals import Written, written
from memory_grpc.filtering.tree import EVERYTHING, Node, all_of, any_of, negated

LONGEST: Final = 2_000
MOST_COMPARISONS: Final = 50
DEEPEST: Final = 10

# Postgres stores no NUL, and UTF-8 has no half of a surrogate pair.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_KEY = re.compile(r"""\.([\w-]+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", re.DOTALL)


def parse(text: str) -> Node:
    """The checked tree of a filter; everything passes a blank one. InvalidFilter when it cannot be read, with the
    character where that shows and what was expected there."""
    if len(text) > LONGEST:
        raise InvalidFilter.at(LONGEST + 1, f"a filter has at most {LONGEST:,} characters")
    if odd := _NO_TEXT.search(text):
        raise InvalidFilter.at(odd.start() + 1, "text cannot contain NUL or half a surrogate pair")
    try:
        return _PARSER.parse(text)  # type: ignore[return-value]
    except UnexpectedInput as error:
        refused = _refused(text, error)
    # Outside the except: the parser's own error holds what was sent.
    raise refused


class _Bounds:
    """Ends the reading of a filter at the token that is one too many."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        comparisons = depth = nots = 0
        opened: list[int] = []
        for token in stream:
            if token.type in {"NOT", "MINUS"}:
                nots += 1
            elif token.type == "LPAR":
                opened.append(nots + 1)
                depth, nots = depth + nots + 1, 0
            elif token.type == "RPAR" and opened:
                depth -= opened.pop()
            elif token.type == "FIELD":
                comparisons, nots = comparisons + 1, 0
            if depth + nots > DEEPEST:
                raise InvalidFilter.at(_position(token), f"parentheses and NOT can be nested at most {DEEPEST} deep")
            if comparisons > MOST_COMPARISONS:
                raise InvalidFilter.at(_position(token), f"a filter has at most {MOST_COMPARISONS} comparisons")
            yield token


@v_args(inline=True)
class _Tree(Transformer[Token, Node]):
    """Makes the tree while the parser reads."""

    def start(self, node: Node = EVERYTHING) -> Node:
        return node

    def expression(self, *parts: Any) -> Node:
        return all_of(part for part in parts if not isinstance(part, Token))

    def sequence(self, *parts: Node) -> Node:
        return all_of(parts)

    def factor(self, *parts: Any) -> Node:
        return any_of(part for part in parts if not isinstance(part, Token))

    def negation(self, _: Token, node: Node) -> Node:
        return negated(node)

    def group(self, node: Node) -> Node:
        return node

    def comparison(self, field: Token, operator: Token, value: Token) -> Node:
        return checked(_path(field), _written(operator), _written(value))

    def bare(self, field: Token) -> NoReturn:
        raise alone(_path(field))


_PARSER: Final = Lark.open(
    "grammar.lark", rel_to=__file__, parser="lalr", lexer="contextual", transformer=_Tree(), postlex=_Bounds()
)


def _position(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _written(token: Token) -> Written:
    return written(str(token), _position(token))


def _path(field: Token) -> list[Written]:
    """A field's name and the keys after it."""
    name = str(field).partition(".")[0]
    start = _position(field)
    keys = [written(key[1], start + key.start(1)) for key in _KEY.finditer(field, len(name))]
    return [Written(name, start), *keys]


def _refused(text: str, error: UnexpectedInput) -> InvalidFilter:
    """What to say of a filter that does not follow the grammar."""
    token = error.token if isinstance(error, UnexpectedToken) else None
    is_end = token is not None and token.type == "$END"
    at = len(text) if is_end else error.pos_in_stream or 0
    expected = error.allowed if isinstance(error, UnexpectedCharacters) else getattr(error, "expected", ())
    return InvalidFilter.at(at + 1, _wanted(text[at : at + 1], expected))


def _wanted(character: str, expected: Any) -> str:
    """What was expected where a character stands (nothing at the end), by the kinds of tokens that could follow."""
    if character in {'"', "'"} and "STRING" in expected:
        return "this quote is not closed"
    if character == ".":
        return "after a dot comes a key: letters, digits, _ and -, or any text in quotes"
    if character == "*" and "WORD" not in expected:
        return "text is compared exactly, there are no wildcards"
    if "WORD" in expected:
        return "expected a value: text in quotes, a number, true or false"
    if "COMPARATOR" in expected:
        return "expected an operator: = != < <= > >= or :"
    if "FIELD" not in expected:
        return "no parenthesis is open here" if character else "a parenthesis is not closed"
    if "AND" in expected:
        return "expected AND, OR, another comparison or the end; text with other characters goes in quotes"
    return "expected a comparison, NOT or an opening parenthesis"
