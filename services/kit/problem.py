"""What a use case raises to refuse something; `errors` makes it a response."""

from typing import Any


class Problem(Exception):  # noqa: N818 (RFC 9457's word for it)
    """Refuses a request. Raised before anything is changed, or in a transaction that it rolls back."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra
