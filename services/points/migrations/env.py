"""Alembic's entry; what it does is the same for every service."""

from services.kit.migrate import run_environment
from services.points.models import Base

run_environment(Base.metadata)
