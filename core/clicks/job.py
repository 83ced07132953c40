"""Ingests as jobs: they belong to the process, not to a browser tab. Reload, and it is still there."""

from dataclasses import dataclass, field
from pathlib import Path

from core.clicks import uploads
from core.clicks.ingest import Options, take_in
from core.clicks.ingest_results import IngestResult
from core.jobs.job import Job, State
from core.jobs.kind import Kind
from core.store import Store


@dataclass(frozen=True)
class IngestRequest:
    """Files or folders of them, our column names -> theirs, and how they are taken in."""

    paths: list[Path]
    mapping: dict[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    @property
    def names(self) -> list[str]:
        """Of the files, as people know them."""
        return [uploads.name_of(path) for path in self.paths]


class IngestKind(Kind[IngestRequest, None, IngestResult]):
    """Done in the thread of the job; files already taken in stay where it is cancelled. Uploads are deleted at its end."""

    name = "ingest"
    title = "ingest"
    when_cancelled = "The ingest was cancelled. Files that were taken in before stay, nothing of the file in work was kept."
    waits = True

    def words(self, request: IngestRequest) -> str:
        """The files."""
        return ", ".join(request.names)

    def work(self, store: Store, job: Job[IngestRequest, IngestResult], folder: Path) -> IngestResult:
        """Takes the files in. Raises NothingIngestedError where no file could be."""
        request = job.request
        return take_in(
            store,
            request.paths,
            request.mapping,
            request.options,
            progress=lambda done: job.report(done, "taking clicks in"),
            cancel=job.cancelling,
        )

    def ended(self, store: Store, job: Job[IngestRequest, IngestResult], state: State, error: str | None) -> None:
        """Deletes copies of uploads; a path of the user's own is never touched."""
        if job.request.options.uploaded:
            for path in job.request.paths:
                uploads.remove(path)


INGEST = IngestKind()
