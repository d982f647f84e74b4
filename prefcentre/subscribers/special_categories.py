"""Names of fields that sound like special categories of data (GDPR art. 9, 10), in the languages of the pages (R151).

A hint for people and no proof: what a field holds shows its content alone, and nobody reads that. Words count at the beginning
of a word of the name, so "religious_group" is one and "unionised milk" is not asked about milk.
"""

import re

_WORDS: dict[str, str] = {
    "health": "health|disease|illness|diagnos|medical|medicine|allerg|disab|pregnan|therap|blood|vaccin|patient|"
    "gesundheit|krank|schwanger|behinder|impf|santé|sante|maladie|grossesse|handicap|"
    "здрав|болест|диагноз|алерг|бремен|инвалид|ваксин",
    "religion or belief": "relig|belief|faith|church|confession|konfession|glaube|kirche|croyance|eglise|église|"
    "denomination|вероизповед|религи|църк|вяра",
    "political opinions": "politic|politisch|partei|politique|vote|voting|party_member|parteimitglied|партийн|политич|гласув",
    "trade union": "trade_union|union_member|tradeunion|gewerkschaft|syndica|синдик|профсъюз",
    "ethnic origin": "ethnic|ethnie|race|racial|skin_colo|nationality_origin|hautfarbe|herkunft|origine|"
    "rasse|етнич|етнос|раса|расов",
    "sex life or orientation": "sexual|sex_life|sex_orient|orientation|gender_identity|sexuell|sexuel|lgbt|"
    "сексуал|ориентац",
    "genetic or biometric data": "genetic|genom|dna|adn|днк|biometr|fingerprint|face_scan|genetisch|fingerabdruck|génét|"
    "empreinte|генет|биометр|отпечат",
    "criminal record": "criminal|conviction|offence|offense|vorstrafe|straftat|casier|condamnation|съдим|престъп",
}
_PATTERNS = {
    category: re.compile(rf"(?:^|_)(?:{words})", re.IGNORECASE)
    for category, words in _WORDS.items()
}
_CAMEL = re.compile(r"(?<=[a-zà-ÿа-я])(?=[A-ZÀ-ÞА-Я])")
# What begins like one and is none.
_HARMLESS = re.compile(
    r"(?:^|_)(race_(time|number|result|day)|party_size|screen_orientation)", re.IGNORECASE
)


def looks_special(name: str) -> str | None:
    """The category that a field's name sounds like, in words; None when it sounds like none."""
    parts = re.sub(r"[\W_]+", "_", _CAMEL.sub("_", name.strip()))
    if _HARMLESS.search(parts):
        return None
    return next((category for category, found in _PATTERNS.items() if found.search(parts)), None)
