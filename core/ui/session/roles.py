"""Who may do what: roles, the least role that each action needs, and the record of what was refused.

Every role may do what the roles before it may. `require` stands before every write that a page makes; the command line needs
none, because a user who runs it can read the file anyway. `sign_in` and the pages find out who a user is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from core import logs
from core.errors import ForbiddenError
from core.store import Store, clock

Role = Literal["viewer", "analyst", "reviewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most."""

Action = Literal["look", "triage", "map", "label", "adjudicate", "publish", "roll_back", "ingest", "take_back", "score", "train", "backup"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Source = Literal["local", "open", "sign-in"]


class Need(NamedTuple):
    """What an action needs, and the action in words that begin a sentence."""

    role: Role
    words: str


NEEDS: dict[Action, Need] = {
    "look": Need("viewer", "Looking at banners"),
    "triage": Need("analyst", "Deciding about flagged banners"),
    # computes for some minutes, and changes no decision and no page of another user
    "map": Need("analyst", "Making a map of banners"),
    "label": Need("reviewer", "Labelling banners"),
    "adjudicate": Need("reviewer", "Deciding between labels"),
    # the reviewer saw what the new cut does before it was published, and the next version replaces it
    "publish": Need("reviewer", "Publishing a threshold version"),
    # takes back what somebody else published with a reason: one who stands above both decides
    "roll_back": Need("admin", "Rolling a threshold version back"),
    # these read and write files of the machine, and take its cores from everybody
    "ingest": Need("admin", "Bringing click logs in"),
    # takes clicks away from everything that is scored from then on
    "take_back": Need("admin", "Taking an ingest back"),
    "score": Need("admin", "Starting or stopping a run"),
    "train": Need("admin", "Training a network"),
    "backup": Need("admin", "Backing the store up"),
}


@dataclass(frozen=True)
class Person:
    """Who acts. `role` None: not signed in. `next_step` says, in a sentence, how to get a higher role."""

    name: str
    role: Role | None
    source: Source
    next_step: str = "Ask an admin of this dashboard for that role."


def highest(roles: Sequence[str]) -> Role | None:
    """The highest role that is named, in any capitalisation; None where none is."""
    named = {name.strip().casefold() for name in roles}
    return next((role for role in reversed(ROLES) if role in named), None)


def refusal(person: Person, action: Action) -> str | None:
    """Why a person may not do this, as an error's message; None where they may."""
    need = NEEDS[action]
    if person.role is not None and ROLES.index(person.role) >= ROLES.index(need.role):
        return None
    if person.role is None:
        has = "you are not signed in"
    elif person.source == "open":
        has = f"visitors of this dashboard have the role {person.role}"
    else:
        has = f"{person.name} has the role {person.role}"
    return f"{need.words} needs the role {need.role}: {has}. {person.next_step}"


def require(store: Store, person: Person, action: Action, detail: str | None = None) -> Person:
    """Returns the person where they may do this; else records the refusal, with `detail`, and raises ForbiddenError."""
    why = refusal(person, action)
    if why is None:
        return person
    with store.transaction() as cursor:
        at = clock.moment(cursor, "refusal")
        values = [clock.event_id(at), at, person.name, person.role, action, detail]
        cursor.execute("INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?)", values)
    logs.event("refused", action=action, role=person.role)
    raise ForbiddenError(why)


def refusals(store: Store, limit: int = 100) -> list[dict[str, Any]]:
    """The latest refusals, newest first: happened_at, name, role, action, detail."""
    return store.rows(
        "SELECT happened_at, name, role, action, detail FROM refusal ORDER BY happened_at DESC, refusal_id DESC LIMIT ?", [limit]
    )
