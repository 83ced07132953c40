"""Which addresses are the dashboard's own: the `Host` that a request names, and the `Origin` of the page that sent it.

Without settings these are localhost, 127.0.0.1 and [::1], and the address that the server was told to listen on, on the port of the server:
a page of another port, or of a name that an attacker points at this machine (DNS rebinding), is none of them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from core.errors import InputError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_HOST = re.compile(r"(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE | re.ASCII)


class Authority(NamedTuple):
    """A host in small letters, an IPv6 address without brackets, and its port; None where none is given."""

    name: str
    port: int | None


def authority(text: str) -> Authority | None:
    """A `Host` header read strictly; None where it is none."""
    found = _HOST.fullmatch(text.strip())
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    name = found["name"].lower()
    if name.startswith("["):
        try:
            name = str(ip_address(name[1:-1]))
        except ValueError:
            return None
    return Authority(name.removesuffix("."), port) if port is None or port < 65536 else None


@dataclass(frozen=True)
class Names:
    """`local`: names that count on the server's own port only. `public`: names of a proxy; without a port on 80, 443 and the own port."""

    local: frozenset[str]
    public: frozenset[Authority]

    @classmethod
    def of(cls, address: str, public: Iterable[str]) -> "Names":
        """From the address that the server listens on and the public names. Raises InputError for a name that is none."""
        listens = authority(f"[{address}]" if address.count(":") > 1 else address)
        bound = {listens.name} if listens and listens.name not in ("0.0.0.0", "::") else set()
        return cls(LOOPBACK | bound, frozenset(_public(name) for name in public))

    def answers(self, host: str, own_port: int | None) -> bool:
        """Whether a `Host` header names this dashboard."""
        found = authority(host)
        return found is not None and self._is_own(found, {found.port} if found.port else {80, 443}, own_port)

    def is_page(self, origin: str, own_port: int | None) -> bool:
        """Whether an `Origin` header names a page of this dashboard."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        found = authority(parts.netloc)
        if found is None or parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment:
            return False
        return self._is_own(found, {found.port or DEFAULT_PORTS[parts.scheme]}, own_port)

    def _is_own(self, found: Authority, ports: set[int], own_port: int | None) -> bool:
        if found.name in self.local and own_port in ports:
            return True
        usual = {80, 443, own_port}
        return any(found.name == name and (port in ports if port else bool(ports & usual)) for name, port in self.public)


def _public(text: str) -> Authority:
    found = authority(text)
    if found is None:
        raise InputError(f"A public name of the dashboard is HOST or HOST:PORT, as in the browser's address bar, not {text!r}. Correct it.")
    return found
