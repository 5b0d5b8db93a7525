"""The environments of the platform."""

from __future__ import annotations

from enum import StrEnum

from cbss_inscription.domain.errors import UsageError


class Environment(StrEnum):
    """The environments as application certificates and monitoring/v1 name them [A] (security.md 1.3)."""

    PRD = "PRD"
    SIM = "SIM"
    ACC = "ACC"
    INT = "INT"
    TST = "TST"
    DEV = "DEV"
    SIC = "SIC"
    LOCAL = "LOCAL"
    OTHER = "OTHER"

    @classmethod
    def of(cls, text: str) -> Environment:
        """The environment that a setting names. Raises `UsageError` when there is none of that name."""
        try:
            return cls(text)
        except ValueError:
            raise UsageError(f"The environment must be one of {', '.join(cls)}.") from None
