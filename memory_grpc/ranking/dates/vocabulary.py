"""The words that dates are made of: what kind of token each is, and what it is worth."""

from __future__ import annotations

from typing import Any, Final

UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = {word: number for number, word in enumerate(UNITS + TEENS, 1)}
NUMBERS |= {word: 10 * number for number, word in enumerate(TENS, 2)} | {"hundred": 100, "thousand": 1000}
FIRST_TO_NINTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_LATER_ORDINALS = ("tenth", "eleventh", "twelfth", *(f"{word}th" for word in TEENS[3:]))
ORDINALS = {word: number for number, word in enumerate(FIRST_TO_NINTH + _LATER_ORDINALS, 1)}
ORDINALS |= {"twentieth": 20, "thirtieth": 30}
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORT_DAYS = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
# Written small they are common words, and dates only beside what makes them one: "last sat", "mar 5".
SMALL = {"mon": "SMALLDAY", "sat": "SMALLDAY", "sun": "SMALLDAY", "mar": "SMALLMONTH"}
_SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
_PARTS = ("morning", "afternoon", "evening", "night")
_SHORT_UNITS = {"mins": "minute", "min": "minute", "hrs": "hour", "hr": "hour", "mos": "month", "mths": "month"}
# As people write them in a hurry.
_MISSPELLED = {"yesturday": "yesterday", "yestarday": "yesterday", "yesteday": "yesterday", "tommorow": "tomorrow",
               "tomorow": "tomorrow", "tommorrow": "tomorrow", "tmrw": "tomorrow", "febuary": "february",
               "feburary": "february", "janurary": "january", "januray": "january", "agust": "august",
               "setember": "september", "septemeber": "september", "ocotber": "october", "novemeber": "november",
               "decemeber": "december", "wensday": "wednesday", "wednsday": "wednesday", "wendesday": "wednesday",
               "wedensday": "wednesday", "thrusday": "thursday", "thurday": "thursday", "teusday": "tuesday",
               "tuseday": "tuesday", "saterday": "saturday", "satruday": "saturday"}  # fmt: skip

WORDS: Final[dict[str, tuple[str, Any]]] = {
    **{word: ("MONTH", number) for number, word in enumerate(MONTHS, 1)},
    **{word[:3]: ("ABBR", number) for number, word in enumerate(MONTHS, 1) if word != "may"},
    "sept": ("ABBR", 9),
    **{word: ("WDAY", number) for number, word in enumerate(WEEKDAYS)},
    **{word + "s": ("WDAYS", number) for number, word in enumerate(WEEKDAYS)},
    **{word: ("WDAY", number) for word, number in SHORT_DAYS.items()},
    **{word: ("NUMW", number) for word, number in NUMBERS.items()},
    **{word: ("ORDW", number) for word, number in ORDINALS.items()}, "latter": ("ORDW", 2),
    **{word + s: ("UNIT", word) for word in ("minute", "hour", "month", "fortnight", "decade") for s in ("", "s")},
    "seconds": ("UNIT", "second"),
    **{word + s: (word.upper(), word) for word in ("day", "week", "quarter", "year") for s in ("", "s")},
    **{word: ("UNIT", unit) for word, unit in _SHORT_UNITS.items()},
    **dict.fromkeys(("wk", "wks"), ("WEEK", "week")), **dict.fromkeys(("yr", "yrs"), ("YEAR", "year")),
    "weekend": ("WEEKEND", "weekend"), "weekends": ("UNIT", "weekend"),
    **{word: ("SEASON", number) for word, number in _SEASONS.items()},
    **{word + "s": ("SEASONS", number) for word, number in _SEASONS.items()},
    **{word: ("PART", word) for word in _PARTS}, **{word + "s": ("PARTS", word) for word in _PARTS},
    **{word: ("HOLIDAYS", word[:-2] if word.endswith("es") else word[:-1])
       for word in ("christmases", "easters", "thanksgivings", "halloweens")},
    "half": ("HALF", "half"),
    "yesterday": ("NEAR", -1), "today": ("NEAR", 0), "tomorrow": ("NEAR", 1), "tonight": ("TONIGHT", 0),
    "now": ("NOW", 0), "ago": ("AGO", 0), "back": ("AGO", 0),
    **dict.fromkeys(("last", "previous"), ("LAST", -1)),
    "past": ("PAST", -1),
    **dict.fromkeys(("this", "current"), ("THIS", 0)),
    **dict.fromkeys(("coming", "upcoming"), ("COMING", 1)), "next": ("NEXT", 1), "all": ("ALL", 0),
    "earlier": ("EARLIER", 0), "later": ("LATER", 0), "shortly": ("SHORTLY", 0), "just": ("SHORTLY", 0),
    "a": ("A", 1), "an": ("A", 1), "couple": ("NUMW", 2), "dozen": ("NUMW", 12),
    "few": ("FEW", (2, 5)), "several": ("FEW", (2, 5)),
    **{word: ("IN", word) for word in ("in", "during", "throughout", "within", "over")},
    **{word: ("FOR", word) for word in ("for", "around", "at")},
    "on": ("ON", "on"), "of": ("OF", "of"), "from": ("FROM", "from"),
    "before": ("BEFORE", 0), "after": ("AFTER", 0), "following": ("AFTER", 0), "since": ("SINCE", 0),
    **dict.fromkeys(("until", "till", "til", "by"), ("UNTIL", 0)),
    "between": ("BETWEEN", 0), "to": ("TO", "to"), "through": ("THROUGH", 0), "and": ("AND", "and"),
    "&": ("AND", "and"), "or": ("OR", "or"), "/": ("OR", "/"),
    **dict.fromkeys(("starting", "commencing"), ("STARTING", 0)), "ending": ("ENDING", 0),
    **dict.fromkeys(("about", "approximately", "roughly", "either"), ("NEARLY", 0)),
    **dict.fromkeys(("onwards", "onward"), ("ONWARDS", 0)),
    "eve": ("EVE", 0), "early": ("EDGE", 0), "mid": ("EDGE", 1), "late": ("EDGE", 2),
    "beginning": ("TIP", 0), "start": ("TIP", 0), "middle": ("TIP", 1), "end": ("TIP", 2),
    "-": ("TO", "-"), "–": ("TO", "-"), "—": ("TO", "-"), ",": ("COMMA", ","),
}  # fmt: skip
WORDS.update({word: WORDS[meant] for word, meant in _MISSPELLED.items()})
PHRASES: Final = {
    "as of": ("FOR", "as of"), "prior to": ("BEFORE", 0), "up to": ("UNTIL", 0), "from now": ("HENCE", 0),
    "from today": ("HENCE", 0), "so far": ("EARLIER", 0), "to date": ("EARLIER", 0),
    "and a half": ("ANDHALF", 0.5), "-and-a-half": ("ANDHALF", 0.5), "or two": ("ORTWO", 2), "or so": ("NEARLY", 0),
    "through to": ("THROUGH", 0),
    **dict.fromkeys(("no later than", "not later than"), ("UNTIL", 0)), "later than": ("AFTER", 0),
    **dict.fromkeys(("no earlier than", "not earlier than"), ("SINCE", 0)), "earlier than": ("BEFORE", 0),
    "starting from": ("SINCE", 0),
    "rest of": ("LATER", 0), "remainder of": ("LATER", 0), "more than": ("MORE", 0), "less than": ("LESS", 0),
    "this time": ("SAME", 0), "this day": ("SAME", 0), "same time": ("SAME", 0), "same day": ("SAME", 0),
    "the other day": ("LATELY", "day"), "the other night": ("LATELY", "day"), "the other evening": ("LATELY", "day"),
    "the other morning": ("LATELY", "day"), "the other week": ("LATELY", "week"),
}  # fmt: skip
# Nothing hangs on these: "in the last week" is "in last week", "a couple of days" two days.
SILENT = {"the", "'s", "’s"}
CORE = {"SMALLMONTH", "SMALLDAY", "SEASONS", "HOLIDAYS", "PARTS",
        "MONTH", "ABBR", "WDAY", "WDAYS", "UNIT", "DAY", "WEEK",
        "WEEKEND", "QUARTER", "YEAR", "SEASON", "HOLIDAY", "PART", "NEAR", "TONIGHT", "NOW", "ORD", "Y", "DECADE", "QN",
        "HN", "DATE", "YM", "INSTANT"}  # fmt: skip
