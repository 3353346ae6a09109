"""What REDIS_URL may be: the address of one server, or of a cluster, which names some of its servers.

redis://user:password@host:6379/0    rediss:// with TLS, unix:// for a socket
redis+cluster://user:password@host:6379,another:6379    rediss+cluster:// with TLS
"""

import re
from urllib.parse import urlsplit, urlunsplit

ONE_SERVER = {"redis", "rediss", "unix"}
CLUSTER = re.compile(r"(?P<scheme>rediss?)\+cluster://(?P<user>[^@/?]*@)?(?P<hosts>[^@/?]+)(/0?)?(?P<query>\?.*)?")


def is_cluster(url: str) -> bool:
    """Whether the address is a cluster's."""
    return CLUSTER.fullmatch(url) is not None


def addresses(url: str) -> list[str]:
    """The addresses of the servers that are named. Raises ValueError, which says what is wrong."""
    if cluster := CLUSTER.fullmatch(url):
        scheme, user, query = cluster["scheme"], cluster["user"] or "", cluster["query"] or ""
        found = [f"{scheme}://{user}{host.strip()}{query}" for host in cluster["hosts"].split(",")]
        if not all(urlsplit(address).hostname for address in found):
            raise ValueError("a server of the cluster has no name")
    elif urlsplit(url).scheme in ONE_SERVER:
        found = [url]
    else:
        raise ValueError(
            "must begin with redis://, rediss:// or unix://, or be redis+cluster://host:port,host:port (no database)"
        )
    for address in found:
        _ = urlsplit(address).port  # raises where it is none
    return found


def broker_beside(url: str) -> str:
    """The address of the broker where none was given: database 1 of the same server. Raises ValueError."""
    if urlsplit(url).scheme not in {"redis", "rediss"}:
        raise ValueError("must be set where REDIS_URL is a cluster or a socket: Celery's broker is one server")
    return urlunsplit(urlsplit(url)._replace(path="/1"))
