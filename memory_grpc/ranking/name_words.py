"""English words that are parts of names and are not names by themselves, or that are names and other words too."""

from __future__ import annotations

from typing import Final


def word_set(*lines: str) -> frozenset[str]:
    """The words of the lines."""
    return frozenset(" ".join(lines).split())


TITLES: Final = word_set(
    "mr mrs ms miss mx dr prof sir dame jr sr ii iii iv herr frau don dona mme mlle professor",
    "captain",
)
"""Said before or after a name, or left out."""
PARTICLES: Final = TITLES | word_set(
    "the a an of and de del della der den di da do dos das du el la le les lo van von vom zu zum zur ten ter bin ibn",
    "bint al y e af av san santa st",
)
"""Not a name by itself, as part of a longer one: "Prof. van der Berg" is asked about as Berg."""
LABELS: Final = word_set(
    "speaker agent player user assistant participant person guest host caller customer client member student teacher",
    "bot ai model patient doctor nurse interviewer interviewee moderator operator human voice team group party",
    "respondent candidate employee worker driver buyer seller witness tester reviewer admin support",
)
"""What is said of anybody: with the number or the letter after it, it is a name."""
SENTENCE_OPENERS: Final = word_set(
    "will may can would should could did does do is are was were has have had am what when where who whom whose which",
    "why how if so the a an in on at by for from with and or but not no yes ok okay please tell give list show find",
    "mark bill hope joy rose grant chase drew sue pat rob skip frank ever never any some all",
)
"""A sentence may begin with these in capitals without meaning the person: "Will he come?", "Mark the date"."""
NEVER_SMALL: Final = word_set(
    "i me my you your he him his she her hers it its we us our they them their this that these those one who what when",
    "where why how which in on at by for from with to of off up out and or but if so as not no yes is are was were be",
    "been am an the all any some see go get got say ask tell day now then here there just only also very too",
)
"""A word of these that is written small is that word, wherever it stands."""
WORDS_TOO: Final = (
    NEVER_SMALL
    | SENTENCE_OPENERS
    | LABELS
    | word_set(
        # months, days, seasons, times
        "january february march april june july august september october november december monday tuesday",
        "wednesday thursday friday saturday sunday summer autumn winter spring dawn eve noel easter morning",
        # first names
        "abbot ace amber angel ash aspen aurora autumn bailey barb basil bay bea bear beau belle berry birdie",
        "blaze blossom blue bonny brandy brook brooke buck bud buddy candy cat cedar chance charity chip christian",
        "chuck cliff clay clement clover coral cody colt copper crystal curt daisy dale dash dean dick dom dot",
        "dusty earl ebony ember fable faith fern flora flower forest fox gale gene genesis ginger glen glory grace",
        "guy guys hank harmony harper haven hazel heath heather henna heritage holly honey hunter indigo iris",
        "ivory ivy jade jan jasmine jasper jay jet juan june kit lance lane laurel leaf legend liberty lily linden",
        "lord love luck lucky madge magnolia major mal marina mason mat matt max may melody mercy merit merry",
        "miles millet mine misty moss myrtle nova oak ocean olive opal page paige paisley pansy papa parker",
        "patience patsy patty peace pearl peg penny pepper petunia phoenix pierce pilot piper poppy prince",
        "princess promise prudence queen ray raven red reed reef regal rich ridge rio river robin rocky rod roman",
        "roe rosemary rowan royal ruby rusty ruth sable sage sandy saint savannah scarlet scout shad sharon sky",
        "skye sonny star sterling storm stone sunny teal temperance thyme tiger timber trace trinity true tucker",
        "tuesday van violet wade walker ward warren willow win wolf wood woody young zephyr zest",
        # family names
        "archer armour baker ball banks bank barber barker bass battle beach bean bell best bird bishop black",
        "blank bloom bolt bond book booth bowman branch bread bridge bridges brewer broad brown brush bull burns",
        "burn bush butcher butler camp cannon carpenter carter case cash castle chambers chapel church cloud coats",
        "coffin cole college cook cooper cotton court craft crane cross crow crown curry cutter day diamond doe",
        "drake draper duke england english farmer field fields fine finch fish fisher fleet flint flood flowers",
        "ford foreman foster france freed french friend frost gardener garden gates gay german gold golden",
        "goldsmith good goodman gore grave graves gray green grey grove hall hammer hand hardy harp hart harvest",
        "hawk hay head heard hedge hill hills hobby holiday holland hook hood horn house howl hull hung hunt",
        "ireland israel jewel jobs jordan judge key keen kid king kings kitchen knight lake lamb land lamp law",
        "lawless leach leg less light line link little lock long low manner marsh marshal marshall masters mayor",
        "meadow means mercer mile mill miller mills mint money moody moon moor more morrow mound mountain nail",
        "nickel noble noon north novel page paint palmer park parks parson peacock peak pen perch pike place plant",
        "pole pollard pond pool poor pope porter post potter pound power powers price prior proctor pump quick",
        "rains ranger rash read reader rice richest ring rivers road robe rock root rush sailor salmon salt sand",
        "savage sawyer school sea seal self shepherd shade sharp shell shore short silver singer slater small",
        "smart smith snow song south speed spark sparks sparrow spear spice stark steel stock street strong",
        "summers swan swift tailor taylor tanner temple thorn tie train travel tree turner tyler underwood",
        "valentine vine vale wall walls waters wave weaver week weeks well wells west wheat wheel wheeler white",
        "wild wilder winters wise woods work yard york info sales contact office hello team mail news",
        # short words of other names
        "ban bao bo chin chip don dong gong ham han hang hung jin joon kang lama lane ling mali man mani manta min",
        "ming nan noon pan pang ran sang song sun sung tan tang ten tong van wan wing won wong yang yen yin",
    )
)
"""Names that are words as well: written small, they are mostly the word."""
ABBREVIATIONS: Final = word_set("am pm eg ie ps us uk eu un ad bc aka nb cf pa ny la dc")
"""Written small and with dots they are no initials of a name: "e.g.", "p.m."."""
COMPOUNDS: Final = word_set(
    "interface interfaces manual manuals guide guides name names id ids account accounts story stories experience",
    "agent agents group groups data input inputs table tables settings profile profiles base research test tests",
    "testing flow flows role roles coach manager director professor referee principal engineer teacher editor chef",
    "producer pool service services software number numbers record records file files list lists satisfaction",
)
"""What follows "the user" or "the customer" where they are only the beginning of a word for something else."""
BEFORE_A_LETTER: Final = word_set(
    "did does do has had was is and or to from with by for about than asked told if that when"
)
"""Before who is called by a letter: "Did A call?"."""
AFTER_NO_FAMILY: Final = word_set(
    "of app apps party election team band album song songs game match league page website store icon folder widget",
)
"""What follows the plural of a family name where that is something else: the Kings of Leon, the Notes app."""
OF_GROUPS: Final = word_set(
    "election elections parliament parliamentary coalition referendum league playoffs stadium touchdown nfl nba nhl",
    "mlb",
)
"""A question with one of these is rather about a party or a team than about a family."""
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBERS: Final = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
ENDINGS: Final = frozenset(
    title + particle
    for title in ("", "씨", "님", "선생님", "이")
    for particle in (
        "", "이", "가", "은", "는", "을", "를", "의", "에게", "한테", "께", "께서", "와", "과", "랑", "하고", "도",
        "만", "에게서", "한테서", "보다", "처럼", "야", "아", "이랑", "이가", "이는",
    )
)  # fmt: skip
"""What Korean hangs on a name."""
