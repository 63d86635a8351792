"""What went wrong, for whoever asked and for the log: the same short code in both."""

from __future__ import annotations

import logging
import secrets

from bot import metrics
from clipsim.errors import ClipSimError, UnexpectedError

log = logging.getLogger(__name__)


def explained(error: BaseException, where: str) -> tuple[ClipSimError, str]:
    """The error for a person, and the code that is shown and logged; something unexpected gets one of its own."""
    if isinstance(error, ClipSimError) and not isinstance(error, UnexpectedError):
        metrics.ERRORS.labels(error.code).inc()
        log.info("%s failed code=%s: %s", where, error.code, error)
        return error, error.code
    metrics.ERRORS.labels(UnexpectedError.code).inc()
    code = f"{UnexpectedError.code}-{secrets.token_hex(3)}"
    log.error("%s failed code=%s", where, code, exc_info=error)
    return UnexpectedError(), code
