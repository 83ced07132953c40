"""From what an OpenID provider says about a user, and the operator's settings, to a person with a role.

The name is the email address where the provider vouches for it: decisions carry it, so users must not be able to choose it. The role
is the one listed for that address, else the highest that the roles claim names, else viewer.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.errors import InputError
from core.ui.session.roles import ROLES, Person, Role, highest

SECTION = "[heatproof] of the secrets"
AGAIN = "Sign in."


class Kept:
    """The keys of the sign-in that a process has seen: it never does without one of them again. Safe to share between threads."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def check(self, secrets: Mapping[str, Any]) -> None:
        """Takes in the keys of [auth] and [heatproof]. Raises InputError where one is gone; addresses of roles may come and go."""
        now = {name for section in ("auth", "heatproof") if section in secrets for name in _keys(section, secrets[section])}
        with self._lock:
            gone = sorted(self._seen - now)
            self._seen |= now if "auth" in now else set()
        if gone:
            raise InputError(
                f"Sign-in settings stay as long as the dashboard runs: {', '.join(gone)} is gone from the secrets, so no request is "
                f"answered. "
                "Put it back into .streamlit/secrets.toml, or restart the dashboard to run with the settings as they are now."
            )


def _keys(path: str, value: Any) -> Iterator[str]:
    """Dotted names of a table and its keys; an empty value counts as none."""
    if isinstance(value, Mapping):
        yield path
        for key, inner in value.items() if path != "heatproof.roles" else ():
            yield from _keys(f"{path}.{key}", inner)
    elif value not in ("", None):
        yield path


@dataclass(frozen=True)
class SignIn:
    """Settings of the sign-in: the claim that names roles, roles by address, and how long a sign-in lasts."""

    roles_claim: str = "roles"
    roles: Mapping[str, Role] = field(default_factory=dict)
    trust_email: bool = False
    sign_in_hours: float = 12


def read_settings(section: Mapping[str, Any]) -> SignIn:
    """The settings of a `[heatproof]` table. Raises InputError for a key, type or role that there is not."""
    unknown = sorted(set(section) - set(SignIn.__dataclass_fields__))
    if unknown:
        known = ", ".join(SignIn.__dataclass_fields__)
        raise InputError(f"{SECTION} has only the keys {known}: {', '.join(unknown)} is unknown. Correct it.")
    claim, trust, hours = (section.get(name, getattr(SignIn, name)) for name in ("roles_claim", "trust_email", "sign_in_hours"))
    if not isinstance(claim, str) or not claim:
        raise InputError(f"roles_claim in {SECTION} is the name of a claim: {claim!r} is none. Correct it.")
    if not isinstance(trust, bool):
        raise InputError(f"trust_email in {SECTION} is true or false, not {trust!r}. Correct it.")
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not hours > 0:
        raise InputError(f"sign_in_hours in {SECTION} is a number above 0, not {hours!r}. Correct it.")
    return SignIn(claim, _listed(section.get("roles", {})), trust, float(hours))


def person_of(claims: Mapping[str, Any], rules: SignIn, now_s: float) -> Person:
    """Who signed in, by the claims of their ID token; without a role where they are not, or where it was too long ago.

    `now_s`: seconds since 1970, as `iat` of the token. Roles are never taken from an address that the provider does not vouch for.
    """
    if claims.get("is_logged_in") is not True:
        return Person("", None, "sign-in", AGAIN)
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or now_s - issued > rules.sign_in_hours * 3600:
        return Person("", None, "sign-in", f"A sign-in lasts {rules.sign_in_hours:g} hours. Sign in again.")
    email = _email(claims, rules)
    role = rules.roles.get(email) if email else None
    return Person(email or _subject(claims), role or highest(_named(claims, rules.roles_claim)) or "viewer", "sign-in")


def _listed(roles: Any) -> dict[str, Role]:
    if not isinstance(roles, Mapping):
        raise InputError(f'roles in {SECTION} is a table of "address" = "role", not {roles!r}. Correct it.')
    listed: dict[str, Role] = {}
    for email, name in roles.items():
        if name not in ROLES:
            raise InputError(f"A role is one of {', '.join(ROLES)}: {SECTION} gives {name!r} to {email}. Correct it.")
        listed[_plain(email)] = name
    return listed


def _email(claims: Mapping[str, Any], rules: SignIn) -> str | None:
    """The address that a user cannot choose, in small letters; some providers send no `email_verified`: `trust_email` is for them."""
    email, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or not email.strip():
        return None
    return _plain(email) if verified is True or (verified is None and rules.trust_email) else None


def _plain(email: str) -> str:
    return email.strip().casefold()


def _subject(claims: Mapping[str, Any]) -> str:
    """The provider's own id of the person; unique within the provider, whose host stands beside it."""
    return f"{claims.get('sub', 'unknown')} at {urlsplit(str(claims.get('iss', ''))).hostname or 'unknown'}"


def _named(claims: Mapping[str, Any], path: str) -> list[str]:
    """Values of a claim: a list, or text with spaces or commas. A dot goes into a nested claim, where no claim has that very name."""
    value: Any = claims
    for part in [path] if path in claims else path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
