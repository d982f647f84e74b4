"""Names of fields that sound like special categories of data (GDPR art. 9, 10), in the languages of the pages (R151).

A hint for people and no proof: what a field holds shows its content alone, and nobody reads that. Words count at the beginning
of a word of the name, so "religious_group" is one and "reunion" has nothing of a union.
"""

import re

# Each is the beginning of a word; "$" is the end of one, for words that others begin with: "church" and not "churchill".
_WORDS: dict[str, str] = {
    "health": "health disease illness diagnos medical medicine medication allerg disability disabilities pregnan therap blood "
    "vaccin patient$ patients$ gesundheit krank schwanger behinder impf medikament santé sante maladie grossesse "
    "handicap médicament здрав болест диагноз алерг бремен инвалид увреждан ваксин лекарств",
    "religion or belief": "religio belief$ beliefs$ faith$ church$ churches$ denomination$ konfession glaube$ kirche "
    "croyance eglise église вероизповед религи църк вяра$",
    "political opinions": "politic politik politisch politiqu parteimitglied party_member voting_ voted_ партийн полити гласува",
    "trade union": "trade_union union_member tradeunion gewerkschaft syndica синдик профсъюз",
    "ethnic origin": "ethnic ethni race$ races$ racial skin_colo hautfarbe rasse$ herkunftsland origine_ethn етнич етнос "
    "раса$ расов",
    "sex life or orientation": "sexual sexuell sexuel sex_life sexlife gender_identity lgbt сексуал",
    "genetic or biometric data": "genetic genetisch génétique genome$ dna$ adn$ biometr fingerprint face_scan fingerabdruck "
    "empreinte_digitale генет днк биометр отпечат",
    "criminal record": "criminal conviction offence$ offences$ offense$ vorstrafe straftat casier_judiciaire condamnation "
    "съдим престъп",
}


def _pattern(words: str) -> re.Pattern[str]:
    found = (re.escape(word).replace(r"\$", "(?=_|$)") for word in words.split())
    return re.compile(rf"(?:^|_)(?:{'|'.join(found)})", re.IGNORECASE)


_PATTERNS = {category: _pattern(words) for category, words in _WORDS.items()}
_CAMEL = re.compile(r"(?<=[a-zà-ÿа-я])(?=[A-ZÀ-ÞА-Я])")
# What is called like one and is none.
_HARMLESS = re.compile(r"(?:^|_)race_(?:time|number|result|day)", re.IGNORECASE)


def looks_special(name: str) -> str | None:
    """The category that a field's name sounds like, in words; None when it sounds like none."""
    parts = re.sub(r"[\W_]+", "_", _CAMEL.sub("_", name.strip()))
    if _HARMLESS.search(parts):
        return None
    return next((category for category, found in _PATTERNS.items() if found.search(parts)), None)
