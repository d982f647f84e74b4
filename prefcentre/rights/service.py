"""Use cases of people's rights: everything other packages may ask of rights."""

from prefcentre.rights.erasing import Erased, erase, finish, waiting_since
from prefcentre.rights.held import everything, former_consents, note_export, portable, portable_csv
from prefcentre.rights.models import CameBy, RightsKind, RightsOutcome, RightsRequest
from prefcentre.rights.outline_queries import erased_since, outline
from prefcentre.rights.places_queries import Section
from prefcentre.rights.register import (
    Answer,
    NewRequest,
    close,
    correct,
    extend,
    get,
    note_own,
    note_own_once,
    object_to_all,
    person_of,
    requests,
    restrict,
    start_clock,
    stop_clock,
    take_in,
    unrestrict,
    urgent,
)
from prefcentre.rights.restoring import Gap, catch_up, is_behind, put_lost_ends_aside
from prefcentre.rights.restoring import look as look_at_journal
from prefcentre.rights.retention import Cleared, Rule, newest_runs, rules_of
from prefcentre.rights.retention import is_due as retention_is_due
from prefcentre.rights.retention import plan as plan_retention
from prefcentre.rights.retention import run as run_retention
from prefcentre.rights.visiting import (
    PAGE_REQUESTS,
    Visitor,
    ask_for_link,
    is_open,
    leave,
    open_page,
    visitor,
)

__all__ = [
    "PAGE_REQUESTS",
    "Answer",
    "CameBy",
    "Cleared",
    "Erased",
    "Gap",
    "NewRequest",
    "RightsKind",
    "RightsOutcome",
    "RightsRequest",
    "Rule",
    "Section",
    "Visitor",
    "ask_for_link",
    "catch_up",
    "close",
    "correct",
    "erase",
    "erased_since",
    "everything",
    "extend",
    "finish",
    "former_consents",
    "get",
    "is_behind",
    "is_open",
    "leave",
    "look_at_journal",
    "newest_runs",
    "note_export",
    "note_own",
    "note_own_once",
    "object_to_all",
    "open_page",
    "outline",
    "person_of",
    "plan_retention",
    "portable",
    "portable_csv",
    "put_lost_ends_aside",
    "requests",
    "restrict",
    "retention_is_due",
    "rules_of",
    "run_retention",
    "start_clock",
    "stop_clock",
    "take_in",
    "unrestrict",
    "urgent",
    "visitor",
    "waiting_since",
]
