"""Two thousand people who do not exist, the same ones every time."""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

HOW_MANY = 2_000
_SEED = 20_260_401
# Names reserved for examples (RFC 2606), so that no mail can ever reach anybody.
_DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "post.example.com")


@dataclass(frozen=True)
class Country:
    """Where some of the people live, and what they are called there."""

    language: str
    timezone: str
    cities: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    prefix: str


@dataclass(frozen=True)
class MadeUp:
    """One of the people: the columns of a line in the files that the demonstration imports."""

    email: str
    phone: str
    name: str
    first_name: str
    last_name: str
    language: str
    timezone: str
    city: str
    customer_since: str
    tracking: str
    consented_at: str
    chance: float


def _country(
    language: str, timezone: str, prefix: str, cities: str, first: str, last: str
) -> Country:
    return Country(
        language,
        timezone,
        tuple(cities.split(", ")),
        tuple(first.split(", ")),
        tuple(last.split(", ")),
        prefix,
    )


COUNTRIES = (
    _country("en", "Europe/London", "+44113496", "London, Leeds, Bristol, Cardiff, Edinburgh",
             "Olivia, George, Amelia, Harry, Isla, Oscar, Freya, Arthur, Poppy, Leo, Niamh, Rhys",
             "Taylor, Okafor, Hughes, Patel, Murray, O'Connor, Walker, Bennett, Shah, Price, Ward"),
    _country("bg", "Europe/Sofia", "+35988999", "София, Пловдив, Варна, Русе, Велико Търново",
             "Мария, Георги, Пенка, Иван, Елена, Димитър, Радка, Стоян, Цветана, Николай, Яна, Петър",
             "Иванова, Петров, Димитрова, Георгиев, Стоянова, Николов, Тодорова, Колев, Христова, Илиев"),
    _country("de", "Europe/Berlin", "+491500000", "Berlin, Hamburg, München, Köln, Leipzig",
             "Anna, Jürgen, Lena, Max, Sophie, Björn, Greta, Lukas, Käthe, Emil, Jonas, Mia",
             "Müller, Schäfer, Weiß, Köhler, Braun, Günther, Vogel, Krüger, Hofmann, Jäger, Brandt"),
    _country("fr", "Europe/Paris", "+3363800", "Paris, Lyon, Nantes, Strasbourg, Lille",
             "Zoé, Théo, Camille, Hugo, Inès, Louis, Chloé, Gaël, Manon, René, Aïcha, Noé",
             "Lefèvre, Martin, Dubois, Garçon, Bernard, Petit, Moreau, Benoît, Roux, Haddad, Girard"),
    _country("es", "Europe/Madrid", "+3460000", "Madrid, Sevilla, Valencia, Bilbao, A Coruña",
             "Lucía, Íñigo, Sofía, Martín, Begoña, Pablo, Inés, Álvaro, Nuria, José, Ana, Iker",
             "García, Muñoz, Ibáñez, Núñez, Peña, Jiménez, Vega, Castaño, Díaz, Serrano, Ruiz"),
    _country("pl", "Europe/Warsaw", "+4860000", "Warszawa, Kraków, Łódź, Gdańsk, Wrocław",
             "Zofia, Łukasz, Agnieszka, Paweł, Małgorzata, Jakub, Kinga, Staś, Hanna, Michał, Róża",
             "Wójcik, Kowalska, Zieliński, Dąbrowska, Nowak, Wiśniewski, Kamińska, Król, Pająk, Sęk"),
    _country("uk", "Europe/Kyiv", "+38050000", "Київ, Львів, Одеса, Харків, Дніпро",
             "Олена, Тарас, Оксана, Андрій, Ірина, Богдан, Наталія, Юрій, Софія, Остап, Леся",
             "Шевченко, Коваль, Бондаренко, Мельник, Кравченко, Ткачук, Гнатюк, Лисенко, Мороз"),
    _country("el", "Europe/Athens", "+30690000", "Αθήνα, Θεσσαλονίκη, Πάτρα, Ηράκλειο",
             "Ελένη, Γιώργος, Μαρία, Νίκος, Κατερίνα, Δημήτρης, Σοφία, Κώστας, Ιωάννα, Άρης",
             "Παπαδοπούλου, Νικολάου, Γεωργίου, Οικονόμου, Βασιλείου, Κώστα, Αθανασίου, Ρήγας"),
    _country("sv", "Europe/Stockholm", "+4670174", "Stockholm, Göteborg, Malmö, Umeå",
             "Elsa, Åke, Ebba, Björn, Saga, Nils, Maja, Göran, Alva, Sixten, Ylva, Olle",
             "Lindström, Åberg, Sjöberg, Ek, Östlund, Nyström, Holm, Dahl, Söderberg, Norén"),
    _country("tr", "Europe/Istanbul", "+90500000", "İstanbul, İzmir, Ankara, Bursa",
             "Zeynep, Emre, Elif, Çağla, Şule, Mert, Ayşe, Ömer, Gül, Işıl, Kaan, Defne",
             "Yılmaz, Şahin, Çelik, Öztürk, Aydın, Koç, Güneş, Doğan, Kılıç, Işık"),
)  # fmt: skip

# How Cyrillic and Greek names are commonly spelt in addresses; accents are simply dropped.
_SPELLINGS = (
    ("абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ",
     "a b v g d e zh z i y k l m n o p r s t u f h ts ch sh sht a y - e yu ya i yi ye g"),
    ("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o"),
    ("ßøłı", "ss o l i"),
)  # fmt: skip
_SPELT = str.maketrans(
    {
        letter: latin
        for letters, spellings in _SPELLINGS
        for letter, latin in zip(letters, spellings.split(), strict=True)
    }
)

CAST = ("ada@example.org", "ben@example.org", "cleo@example.org", "dan@example.org")


def people() -> Iterator[MadeUp]:
    """Everybody, Ada, Ben, Cleo and Dan first; ``chance`` is a number from 0 to 1 that decides what became of them."""
    dice = random.Random(_SEED)  # noqa: S311 - the same people every time are what is wanted.
    yield _cast("ada@example.org", "Ada", "Lovelace", tracking="yes")
    yield _cast("ben@example.org", "Ben", "Ó Briain", tracking="")
    yield _cast("cleo@example.org", "Клео", "Иванова", tracking="no")
    yield _cast("dan@example.org", "Dan", "Fisher", tracking="yes")
    for number in range(len(CAST), HOW_MANY):
        yield _one(dice, number)


def _one(dice: random.Random, number: int) -> MadeUp:
    country = dice.choice(COUNTRIES)
    first, last = dice.choice(country.first_names), dice.choice(country.last_names)
    has_name, month = dice.random() > 0.08, dice.randrange(1, 29)
    return MadeUp(
        email=f"{_spelt(first)}.{_spelt(last)}{number}@{dice.choice(_DOMAINS)}",
        phone=f"{country.prefix}{number:04}" if dice.random() < 0.4 else "",
        name=f"{first} {last}" if has_name else "",
        first_name=first if has_name else "",
        last_name=last if has_name else "",
        language=country.language,
        timezone=country.timezone,
        city=dice.choice(country.cities),
        customer_since=str(dice.randrange(2016, 2026)),
        tracking=dice.choices(("yes", "no", ""), (45, 20, 35))[0],
        consented_at=f"2025-{dice.randrange(1, 13):02}-{month:02}T{dice.randrange(7, 22):02}:{dice.randrange(60):02}:00Z",
        chance=dice.random(),
    )


def _cast(email: str, first: str, last: str, *, tracking: str) -> MadeUp:
    return MadeUp(
        email=email,
        phone="",
        name=f"{first} {last}",
        first_name=first,
        last_name=last,
        language="bg" if first == "Клео" else "en",
        timezone="Europe/Sofia" if first == "Клео" else "Europe/London",
        city="София" if first == "Клео" else "London",
        customer_since="2019",
        tracking=tracking,
        consented_at="2025-03-08T10:00:00Z",
        chance=0.5,
    )


def _spelt(name: str) -> str:
    plain = unicodedata.normalize("NFD", name.casefold())
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    spelt = "".join(letters).translate(_SPELT)
    return "".join(letter for letter in spelt if letter.isalnum())
