"""What became of the files of one ingest: taken in, in the store before, or not taken in, with the reason."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.errors import InputError

FailedKind = Literal["unusable", "known", "rejected"]


@dataclass
class FileResult:
    """A file that is in the store now. `n_rows = accepted + rejected`; one that was in the store before adds nothing.

    `replaced` are the ingests that were taken back for it; `cause` the likeliest one of its rejects, where they are many.
    """

    file: str
    ingest_id: str
    already_ingested: bool
    n_rows: int
    accepted: int
    rejected: dict[str, int]
    n_banners: int
    n_clicks: int
    first_day: str | None
    last_day: str | None
    layout: str | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cause: str | None = None
    notes: list[str] = field(default_factory=list)
    """What the user should know of how it was read."""


@dataclass
class FailedFile:
    """A file that was not taken in, and why; `next_step` names options of the command line.

    `kind`: it cannot be used, it is `known` with other content, or too much of it is `rejected`, with the likeliest cause in words.
    """

    file: str
    reason: str
    next_step: str = ""
    kind: FailedKind = "unusable"
    n_rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    cause: str | None = None


class FileError(InputError):
    """A file cannot be taken in; `failed` says what is known of it."""

    def __init__(self, failed: FailedFile) -> None:
        super().__init__(failed.reason)
        self.failed = failed


@dataclass
class IngestResult:
    """What became of all files of one call."""

    files: list[FileResult]
    failed: list[FailedFile] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Rows that this call brought into the store."""
        return sum(file.accepted for file in self.files)

    @property
    def rejected(self) -> dict[str, int]:
        """Reason -> rows that this call rejected, most frequent first."""
        total: dict[str, int] = {}
        for file in self.files:
            for reason, n in file.rejected.items():
                total[reason] = total.get(reason, 0) + n
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def already_ingested(self) -> bool:
        """Every file was in the store before."""
        return bool(self.files) and not self.failed and all(file.already_ingested for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: accepted, rejected by reason, n_rows, n_rejected, already_ingested, files, failed."""
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "n_rows": sum(file.n_rows for file in self.files),
            "n_rejected": sum(self.rejected.values()),
            "already_ingested": self.already_ingested,
            "files": [asdict(file) for file in self.files],
            "failed": [asdict(file) for file in self.failed],
        }


class NothingIngestedError(InputError):
    """No file of a call could be taken in; `result` names each with its reason."""

    def __init__(self, result: IngestResult) -> None:
        failed = result.failed
        words = _whole(failed[0]) if len(failed) == 1 else f"None of {len(failed)} files could be taken in.\n{failed_lines(failed)}"
        super().__init__(words)
        self.result = result


def failed_lines(failed: list[FailedFile]) -> str:
    """A line a file that was not taken in."""
    return "\n".join(f"  {file.file}: {_whole(file)}" for file in failed)


def _whole(file: FailedFile) -> str:
    return f"{file.reason} {file.next_step}".strip()
