"""Column types that migrations are written in. Never changed once a migration uses them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
