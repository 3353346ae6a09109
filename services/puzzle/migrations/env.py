"""Alembic's environment for schema `puzzle`."""

from services.kit.migrate import run_environment
from services.puzzle.models import Base

run_environment(Base.metadata)
