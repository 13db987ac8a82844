"""A request's body as it arrives, with an end to waiting."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from rehost.core.errors import RequestTimeoutError

BODY_WITHIN = 20.0  # seconds from the request's head to the body's end; the largest body is 2 MiB


async def parts(request: Request, seconds: float = BODY_WITHIN) -> AsyncIterator[bytes]:
    """RequestTimeoutError when the end does not come in time: who sends a byte now and then holds nothing."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(end):
                part = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestTimeoutError(
                f"the request's body did not arrive within {seconds:g} s", "send it at once"
            ) from None
        yield part
