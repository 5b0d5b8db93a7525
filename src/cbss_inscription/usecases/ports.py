"""What the use cases need from outside, besides the repertory (`repertory.port`)."""

from __future__ import annotations

from typing import Protocol

from cbss_inscription.governance.access import AccessRules


class AccessRulesSource(Protocol):
    """Where the access rules and permissions in force come from: a file today, a database with four eyes later."""

    def current(self) -> AccessRules:
        """The rules in force now."""
        ...
