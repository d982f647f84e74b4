"""Runs the tracking history; the connection is handed in by prefcentre.migrations.runner."""

from prefcentre.migrations.runner import run_in_alembic

run_in_alembic("tracking")
