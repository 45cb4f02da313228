"""What a text is found by: its words, compounds whole and by their parts, characters where there are no spaces."""

from __future__ import annotations

import random
import time

import pytest

from memory_grpc.ranking.lexemes import is_unspaced, lexemes


def words(text: str) -> list[str]:
    return lexemes(text).words.split()


def others(text: str) -> dict[str, int]:
    """Lexeme -> how often."""
    written = lexemes(text).others
    return {
        entry.rpartition(":")[0].strip("'"): len(entry.rpartition(":")[2].split(","))
        for entry in written.split(" ")
        if entry
    }


@pytest.mark.parametrize(
    ("text", "parts", "whole"),
    [
        ("POSEIDON-1234 is closed", "POSEIDON 1234 is closed", "poseidon-1234"),
        ("allergic to nuts/soy.", "allergic to nuts soy", "nuts/soy"),
        ("open report_2024-final.pdf!", "open report 2024 final pdf", "report_2024-final.pdf"),
        ("(https://example.com/a/b.html?x=1)", "https example com a b html x 1", "https://example.com/a/b.html?x=1"),
        ("write to Ann.Lee@example.com", "write to Ann Lee example com", "ann.lee@example.com"),
        ("upgrade to v2.3.1, please", "upgrade to v2 2 3 1 please", "2.3.1"),
        ("numpy 1.26", "numpy 1 26", "1.26"),
        ("in /etc/nginx/nginx.conf", "in etc nginx nginx conf", "etc/nginx/nginx.conf"),
        ("Covid-19", "Covid 19", "covid-19"),
        ("Café-24", "Café 24", "cafe-24"),
        ("call +49-170-555", "call 49 170 555", "49-170-555"),
    ],
)
def test_a_compound_is_found_by_its_parts_and_as_a_whole(text: str, parts: str, whole: str) -> None:
    assert words(text) == parts.split()
    assert others(text) == {whole: 1}


@pytest.mark.parametrize(
    "text", ["well-known", "mother-in-law", "don't stop", "3rd floor, 10,000 people", "a - b", "#1234"]
)
def test_what_is_no_compound_has_words_only(text: str) -> None:
    assert others(text) == {}


def test_words_written_as_one_are_found_by_themselves_too() -> None:
    assert words("getUserName") == ["getUserName", "get", "User", "Name"]
    assert words("XMLParser") == ["XMLParser", "XML", "Parser"]
    assert words("PhD PDFs ABC iPad") == ["PhD", "PDFs", "ABC", "iPad", "i", "Pad"]
    assert words("5kg, covid19 LH454") == ["5kg", "5", "kg", "covid19", "covid", "19", "LH454", "LH", "454"]
    assert words("2ND 1ST, 5thAvenue straẞe") == ["2ND", "1ST", "5thAvenue", "5th", "Avenue", "straSSe"]
    assert words("ran 12.5km") == ["ran", "12", "5km", "5", "km"]
    assert words("#TravelDiaries2024") == ["TravelDiaries2024", "TravelDiaries", "Travel", "Diaries", "2024"]
    assert words("iPhone15Pro") == ["iPhone15Pro", "iPhone", "i", "Phone", "15", "Pro"]
    assert words("e-mail, well-known") == ["e-mail", "email", "well-known"]
    assert words("the 3rd of h2, 21st 3D") == ["the", "3rd", "of", "h2", "21st", "3D"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("black\u00a0tea", "black tea"),
        ("ＡＢＣ１２", "ABC12"),
        ("cafe\u0301", "caf\u00e9"),
        ("co\u00adoperate", "cooperate"),
        ("well\u2011known", "well-known"),
        ("ﬁne", "fine"),
        ("Straße", "Strasse"),
        ("كِتَاب", "كتاب"),
        ("can’t", "can't"),
    ],
)
def test_what_looks_the_same_is_the_same(text: str, same: str) -> None:
    assert lexemes(text) == lexemes(same)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我爱北京", "我 爱 北 京 我爱 爱北 北京"),
        ("東京へ", "東 京 へ 東京 京へ"),
        ("カメラ ｶﾒﾗ", "カ カ メ メ ラ ラ カメ カメ メラ メラ"),
        ("학교에", "학 교 에 학교 교에"),
        ("ไข่", "ไ ข่ ไข่"),
        ("𠮷野", "𠮷 野 𠮷野"),
    ],
)
def test_scripts_without_spaces_are_found_by_characters_and_by_every_two(text: str, found: str) -> None:
    assert words(text) == []
    assert sorted(lexeme for lexeme, count in others(text).items() for _ in range(count)) == sorted(found.split())


def test_words_among_characters_stay_words() -> None:
    text = "我在2023年买了iPad，订单POSEIDON-1234已到"
    assert words(text) == ["2023", "iPad", "i", "Pad", "POSEIDON", "1234"]
    assert {"poseidon-1234", "订单", "已到"} <= others(text).keys()
    assert "单已" not in others(text), "not across a word"


def test_words_with_marks_stay_whole() -> None:
    assert words("हिन्दी में עִבְרִית") == ["हिन्दी", "में", "עִבְרִית"]


def test_quotes_are_quoted_and_the_longest_words_left_out() -> None:
    assert lexemes("a\\b").others == r"'a\\b':1"
    assert others("/".join("ab" * 100)) == {}


def test_a_name_is_found_with_what_it_says() -> None:
    assert lexemes("see a/b", "R2/D2").words == "see a b R2 D2"
    assert lexemes("see a/b", "a/b").others == "'a/b':1,2"


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000,
        "aB" * 50_000,
        "a-" * 50_000,
        "\ufdfa" * 100_000,
        "".join(random.Random(1).choices([chr(code) for code in range(0x20000, 0x2A000)], k=100_000)),
        " ".join(f"{number:x}/{number}" for number in range(9000)),
    ],
    ids=["points", "humps", "hyphens", "ligatures", "ideographs", "compounds"],
)
def test_the_longest_texts_are_read_quickly_and_are_no_larger_than_postgres_takes(text: str) -> None:
    started = time.process_time()
    read = lexemes(text)
    assert time.process_time() - started < 3, "0.3 seconds where nothing else runs"
    # Of a tsvector, what its lexemes and positions take.
    assert len(read.others.encode()) + 2 * len(read.words.encode()) < 2**20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("卡罗琳什么时候去了支持小组？", True),
        ("Caroline 和 Melanie 什么时候去的？", True),
        ("เมื่อวานกินอะไร", True),
        ("예산에 대해 뭐라고 했어?", True),
        ("What did 王さん say?", False),
        ("Où est le café de José ?", False),
        ("Кто мой начальник?", False),
        ("?! 。。", False),
        ("", False),
    ],
)
def test_what_is_mostly_written_without_spaces(text: str, expected: bool) -> None:
    assert is_unspaced(text) is expected
