"""Column types that migrations are written in. Never changed once a migration uses them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
SOUGHT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Text in the order of its letters' numbers, whatever the language of the database."""
