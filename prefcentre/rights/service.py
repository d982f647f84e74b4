"""Use cases of people's rights: everything other packages may ask of rights."""

from prefcentre.rights.erasing import Erased, erase, finish, is_waiting
from prefcentre.rights.held import everything, former_consents, note_export, portable, portable_csv
from prefcentre.rights.restoring import Gap, catch_up, is_behind, put_lost_ends_aside
from prefcentre.rights.restoring import look as look_at_journal
from prefcentre.rights.retention import Cleared, Rule, newest_runs, rules_of
from prefcentre.rights.retention import is_due as retention_is_due
from prefcentre.rights.retention import plan as plan_retention
from prefcentre.rights.retention import run as run_retention

__all__ = [
    "Cleared",
    "Erased",
    "Gap",
    "Rule",
    "catch_up",
    "erase",
    "everything",
    "finish",
    "former_consents",
    "is_behind",
    "is_waiting",
    "look_at_journal",
    "newest_runs",
    "note_export",
    "plan_retention",
    "portable",
    "portable_csv",
    "put_lost_ends_aside",
    "retention_is_due",
    "rules_of",
    "run_retention",
]
