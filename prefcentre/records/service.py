"""Use cases of what authorities ask for: everything other packages may ask of records."""

from prefcentre.records.breach import Affected, Breach, affected
from prefcentre.records.processing import as_markdown, record

__all__ = ["Affected", "Breach", "affected", "as_markdown", "record"]
