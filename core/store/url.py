"""Where a store is, as one text.

    data/heatproof.duckdb                                       a DuckDB file, owned by one process
    ducklake:sqlite:data/heat.sqlite                            several processes of one machine; files in data/heat.files
    ducklake:postgres:host=db dbname=heat data_path=/srv/heat   several machines; files in a folder or bucket that each of them sees
    ducklake:postgres:postgresql://db/heat?data_path=s3://…     the same, as libpq writes it

`data_path` stands last and may name another folder for SQLite too. A password belongs into libpq's own ~/.pgpass or PGPASSWORD; one that
stands in the text is never shown.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import InputError, masking
from core.store.putting_back import plan_of

Kind = Literal["file", "sqlite", "postgres"]
REMOTE = re.compile(r"^[a-z0-9]{2,}://", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class StoreUrl:
    """`where`: path of the DuckDB file or of the SQLite catalogue, or what libpq connects to. `data`: folder or bucket of a lake."""

    kind: Kind
    where: str
    data: str = ""

    @classmethod
    def parse(cls, text: "str | Path | StoreUrl") -> "StoreUrl":
        """Reads a path or URL. Raises InputError for a catalogue of another kind, and a PostgreSQL store without a data path."""
        if isinstance(text, StoreUrl):
            return text
        found = re.fullmatch(r"ducklake:(\w+):(.+?)(?:[ ?&]data_path=(.+))?", str(text), re.DOTALL)
        if found is None:
            return cls("file", str(text))
        kind, where, data = found[1], found[2], found[3] or ""
        if kind == "sqlite":
            _remember(data)
            return cls("sqlite", where, data or str(Path(where).with_suffix(".files")))
        masking.remember(str(text))
        if kind not in ("postgres", "postgresql"):
            raise InputError(
                f"A shared store's catalogue is sqlite or postgres: {_shown(str(text))} names {kind}. Write ducklake:sqlite:PATH."
            )
        if not data:
            raise InputError(
                "A store on PostgreSQL keeps its bins in a folder or bucket that all machines see: "
                f"{_shown(str(text))} names none. Add data_path=… at its end."
            )
        where = re.sub(r"^(postgres(?:ql)?):/(?!/)", r"\1://", where)  # a Path may have made one slash of two
        masking.remember(where)
        _remember(data)
        return cls("postgres", where, data)

    def __str__(self) -> str:
        """The text that `parse` reads, password included."""
        if self.kind == "file":
            return self.where
        mark = ("&" if "?" in self.where else "?") if "://" in self.where or self.kind == "sqlite" else " "
        return f"ducklake:{self.kind}:{self.where}{mark}data_path={self.data}"

    @property
    def shown(self) -> str:
        """The text for people: without a password, and for a file just its path."""
        where = masking.connection(self.where) if self.kind == "postgres" else self.where
        data = masking.connection(self.data) if REMOTE.match(self.data) else self.data
        return str(StoreUrl(self.kind, where, data))

    def __repr__(self) -> str:
        """As shown: a traceback or a log may hold it."""
        return f"StoreUrl({self.shown})"

    @property
    def name(self) -> str:
        """A few words for the foot of a page."""
        return Path(self.where).name if self.kind != "postgres" else masking.connection(self.where)

    @property
    def host(self) -> str:
        """Where the catalogue's server runs, as the URL names it, else as libpq's variables do."""
        where = masking.connection(self.where)  # else a password with an @ would pass for a part of the host
        named = re.search(r"(?:^|\s)host(?:addr)?\s*=\s*('[^']*'|\S+)", where)
        netloc = re.match(r"postgres(?:ql)?://(?:[^@/]*@)?([^/?]+)", where)
        found = named[1].strip("'") if named else netloc[1] if netloc else ""
        return found or os.environ.get("PGHOST") or "this machine"

    @property
    def is_shared(self) -> bool:
        """Whether several processes may have it open at once."""
        return self.kind != "file"

    @property
    def home(self) -> Path:
        """A path on this machine beside which work folders, features and trained weights lie; for a DuckDB file, the file itself."""
        if self.kind != "postgres":
            return Path(self.where)
        if REMOTE.match(self.data):
            return Path("data") / re.sub(r"\W+", "-", self.data).strip("-")
        return Path(self.data)

    @classmethod
    def file_of(cls, text: "str | Path | StoreUrl", who: str) -> Path:
        """The path of a DuckDB file, for what works on no other store. Raises InputError for a shared one."""
        url = cls.parse(text)
        if url.is_shared:
            raise InputError(f"{who} a DuckDB file: {url.shown} is a shared store. Name a file, then `store copy` it there.")
        return Path(url.where)

    def exists(self) -> bool:
        """Whether it is there, as far as the disk tells; a database server is asked when it is opened."""
        return self.kind == "postgres" or Path(self.where).exists() or plan_of(Path(self.where)).exists()


def _shown(text: str) -> str:
    """A text that is no store, for people: its data path may hold a key too."""
    where, mark, data = text.partition("data_path=")
    return masking.connection(where) + mark + masking.connection(data)


def _remember(data: str) -> None:
    """Where a data path is a bucket, its URL may hold a key; a folder's name is no secret."""
    if REMOTE.match(data):
        masking.remember(data)
