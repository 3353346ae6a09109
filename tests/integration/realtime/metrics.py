"""Reading a gateway's metrics."""

import httpx
from prometheus_client.parser import text_string_to_metric_families


async def metric(http: httpx.AsyncClient, url: str, name: str, **labels: str) -> float:
    """The value of the sample with exactly these labels, 0 where there is none yet."""
    families = text_string_to_metric_families((await http.get(f"{url}/metrics")).text)
    return sum(s.value for family in families for s in family.samples if s.name == name and s.labels == labels)
