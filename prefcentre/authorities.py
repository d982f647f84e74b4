"""Where people can complain: the data protection authorities of the Union, its neighbours in the EEA, Switzerland and Britain.

Names and addresses are the authorities' own, as of 2026. In Germany a company's authority is that of its Land; the federal one
lists them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority: the ISO 3166 code of its country, its name in a language of that country, and its site."""

    country: str
    name: str
    site: str


_KNOWN = """
AT Österreichische Datenschutzbehörde|dsb.gv.at
BE Autorité de protection des données / Gegevensbeschermingsautoriteit|dataprotectionauthority.be
BG Комисия за защита на личните данни|cpdp.bg
CH Eidgenössischer Datenschutz- und Öffentlichkeitsbeauftragter|edoeb.admin.ch
CY Γραφείο Επιτρόπου Προστασίας Δεδομένων Προσωπικού Χαρακτήρα|dataprotection.gov.cy
CZ Úřad pro ochranu osobních údajů|uoou.gov.cz
DE Bundesbeauftragte für den Datenschutz und die Informationsfreiheit|bfdi.bund.de
DK Datatilsynet|datatilsynet.dk
EE Andmekaitse Inspektsioon|aki.ee
ES Agencia Española de Protección de Datos|aepd.es
FI Tietosuojavaltuutetun toimisto|tietosuoja.fi
FR Commission nationale de l’informatique et des libertés|cnil.fr
GB Information Commissioner’s Office|ico.org.uk
GR Αρχή Προστασίας Δεδομένων Προσωπικού Χαρακτήρα|dpa.gr
HR Agencija za zaštitu osobnih podataka|azop.hr
HU Nemzeti Adatvédelmi és Információszabadság Hatóság|naih.hu
IE Data Protection Commission|dataprotection.ie
IS Persónuvernd|personuvernd.is
IT Garante per la protezione dei dati personali|garanteprivacy.it
LI Datenschutzstelle|datenschutzstelle.li
LT Valstybinė duomenų apsaugos inspekcija|vdai.lrv.lt
LU Commission nationale pour la protection des données|cnpd.public.lu
LV Datu valsts inspekcija|dvi.gov.lv
MT Information and Data Protection Commissioner|idpc.org.mt
NL Autoriteit Persoonsgegevens|autoriteitpersoonsgegevens.nl
NO Datatilsynet|datatilsynet.no
PL Urząd Ochrony Danych Osobowych|uodo.gov.pl
PT Comissão Nacional de Proteção de Dados|cnpd.pt
RO Autoritatea Națională de Supraveghere a Prelucrării Datelor cu Caracter Personal|dataprotection.ro
SE Integritetsskyddsmyndigheten|imy.se
SI Informacijski pooblaščenec|ip-rs.si
SK Úrad na ochranu osobných údajov|dataprotection.gov.sk
"""


def _read(line: str) -> Authority:
    name, _, domain = line[3:].partition("|")
    return Authority(line[:2], name, f"https://{domain}/")


AUTHORITIES = tuple(_read(line) for line in _KNOWN.strip().splitlines())


def authority_of(country: str) -> Authority | None:
    """The authority of a country by its ISO 3166 code; None when the code is none of the list."""
    return next((one for one in AUTHORITIES if one.country == country), None)
