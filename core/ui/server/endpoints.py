"""What machines ask the dashboard, beside its pages: /livez, /readyz and /metrics, served at the root whatever `server.baseUrlPath` is.

Only this machine is told why something is not ready, and what the metrics are: reasons name files and processes.
"""

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core import logs, settings
from core.ui.server import metrics as gauges
from core.ui.server.guard import Guard, names
from core.ui.server.readiness import OneAtATime, Readiness
from core.ui.session import identity, secrets, state
from core.ui.session.kinds import KINDS

READY_S = 2.0
"""How long the store has to answer before it counts as not ready."""
METRICS_S = 8.0
"""Less than the 10 seconds that Prometheus waits."""
NO_STORE = {"cache-control": "no-store"}


_registry = gauges.registry(state.store, [kind.name for kind in KINDS])
_ready = OneAtATime(Readiness(state.store).why_not)
_metrics = OneAtATime(lambda: gauges.exposition(_registry))


async def live(request: Request) -> Response:
    """200: the process answers."""
    return PlainTextResponse("ok\n", headers=NO_STORE)


async def ready(request: Request) -> Response:
    """200 where the store opens and answers in time, else 503, with the reason for requests from this machine."""
    try:
        why = secrets.why_closed() or await _ready.within(READY_S)
    except TimeoutError:
        why = f"A store answers within {READY_S:g} s: this one has not. Look at its disk, or at its catalogue's server."
    if why is None:
        return PlainTextResponse("ready\n", headers=NO_STORE)
    return PlainTextResponse(f"{why if _is_local(request) else 'not ready'}\n", status_code=503, headers=NO_STORE)


async def metrics(request: Request) -> Response:
    """Prometheus' text format, for those whom `HEATPROOF_METRICS` names."""
    audience = settings.metrics_for()
    if audience == "off":
        return PlainTextResponse("not found\n", status_code=404)
    if audience == "local" and not _is_local(request):
        return PlainTextResponse("Metrics are for this machine only, unless HEATPROOF_METRICS is all.\n", status_code=403)
    try:
        body = await _metrics.within(METRICS_S)
    except TimeoutError:
        return PlainTextResponse("The store does not answer.\n", status_code=503, headers=NO_STORE)
    return Response(body, media_type=gauges.CONTENT_TYPE, headers=NO_STORE)


def page_failed(error: Exception) -> None:
    """Logs what went wrong on a page; Streamlit goes on to show it."""
    logs.failure("page_failed", error)


def _is_local(request: Request) -> bool:
    """Whether a request comes from this very machine and through no proxy."""
    host = request.client.host if request.client else ""
    forwarded = any(name in request.headers for name in identity.FORWARDED)
    return identity.is_loopback(host) and identity.is_loopback(request.headers.get("host", "")) and not forwarded


ROUTES = [Route("/livez", live), Route("/readyz", ready), Route("/metrics", metrics)]


def begin() -> list[Middleware]:
    """The server starts: what it was started with counts until it ends. Returns what stands before its routes."""
    secrets.begin()
    return [Middleware(Guard, names=names())]
