"""The kinds of background work that pages start and watch, and the role action that each needs."""

from typing import Any

from core.clicks.job import INGEST
from core.embeddings.job import MAP
from core.jobs.kind import Kind
from core.models.audit.job import AUDIT
from core.models.latent.job import LATENT
from core.models.selection.job import SELECTION
from core.models.training.job import TRAINING
from core.runs.run import RUN
from core.ui.session.roles import Action

KINDS: tuple[Kind[Any, Any, Any], ...] = (RUN, INGEST, MAP, AUDIT, SELECTION, TRAINING, LATENT)
ACTIONS: dict[str, Action] = {
    "run": "score",
    "ingest": "ingest",
    "map": "map",
    "audit": "map",
    "selection": "map",
    "training": "train",
    "latent": "map",
}
