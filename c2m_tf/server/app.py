"""An HTTP server around an upscaler: POST /v1/upscale takes photos and gives a PNG; / is a page to try it.

Whatever arrives, memory is bounded: by the bytes of a request, by the pixels that a header may announce, by the number of
requests that wait, and by the upscaler's own estimate. One photo is upscaled at a time (`turns.Turns`), so that many
requests give the same bytes as one.

    413 too many bytes or pixels, or more memory needed than allowed      429 too many requests wait
    415 not multipart/form-data, or no photo                              503 it took too long
    422 a photo that cannot be used
"""

import io
import signal
import socket
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any, NamedTuple

import fastapi
import prometheus_client
import uvicorn
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from c2m_tf.photos import images
from c2m_tf.server.turns import BusyError, TookTooLongError, Turns
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.batch import upscale_photo
from c2m_tf.version import __version__

_RETRY_SECONDS = 10


class Limits(NamedTuple):
    """What a request may ask for.

    Attributes:
        max_bytes: of a whole request.
        max_lr_pixels, max_ref_pixels: of each photo.
        queue: requests that may wait while one is worked on.
        timeout: seconds that a request may take, waiting included.
    """

    max_bytes: int
    max_lr_pixels: int
    max_ref_pixels: int
    queue: int
    timeout: float


def create_app(upscaler: TiledUpscaler, model: str, limits: Limits) -> fastapi.FastAPI:
    """The application.

    Args:
        upscaler: TiledUpscaler.
        model: what /healthz calls it.
        limits: Limits.

    Returns:
        fastapi.FastAPI.
    """
    app = fastapi.FastAPI(title="c2m-tf", version=__version__, description="4x super-resolution with a reference photo.")
    turns = Turns(limits.queue, limits.timeout)
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    requests = prometheus_client.Counter("c2m_requests", "Requests to upscale, by status.", ["status"], registry=registry)
    seconds = prometheus_client.Histogram(
        "c2m_upscale_seconds", "Time to upscale a photo.", registry=registry, buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    )
    pending = prometheus_client.Gauge("c2m_pending_requests", "Requests waiting or worked on.", registry=registry)
    pending.set_function(lambda: turns.pending)
    folder = resources.files("c2m_tf.server")
    page, slider = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("index.html", "compare-slider.js"))

    @app.get("/", include_in_schema=False, response_class=HTMLResponse)
    async def index() -> str:
        return page

    @app.get("/compare-slider.js", include_in_schema=False)
    async def compare_slider() -> Response:
        return Response(slider, media_type="text/javascript")

    @app.get("/healthz")
    async def health() -> dict[str, Any]:
        """Whether the server is up, and what it serves."""
        return {"status": "ok", "model": model, "version": __version__, "limits": limits._asdict()}

    @app.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.get("/v1/progress/{request_id}")
    async def progress(request_id: str) -> dict[str, Any]:
        """How far the request with that X-Request-ID is: {"state": "waiting"|"running", "done": tiles, "total": tiles}."""
        state = turns.progress(request_id)
        if state is None:
            raise HTTPException(404, f"no request {request_id[:64]} is waiting or running")
        return state

    @app.post(
        "/v1/upscale",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}, "description": "The photo, four times as large."},
            413: {"description": "Too many bytes or pixels."},
            415: {"description": "Not multipart/form-data, or a file that is no photo."},
            429: {"description": "Too many requests wait; try again after Retry-After seconds."},
            503: {"description": "It took too long."},
        },
        dependencies=[fastapi.Depends(_check_content_type)],
    )
    async def upscale(
        lr: fastapi.UploadFile,
        ref: list[fastapi.UploadFile],
        x_request_id: Annotated[str | None, fastapi.Header(max_length=64)] = None,
    ) -> Response:
        """Upscales the photo `lr` with one or several reference photos `ref`: PNG, JPEG, WebP, BMP or TIFF."""

        def work(told: Callable[[int, int], None]) -> bytes:
            photo = images.decode(lr.file, "lr", limits.max_lr_pixels)
            reference = upscaler.encode_reference([images.decode(file.file, "ref", limits.max_ref_pixels).rgb for file in ref])
            with seconds.time():
                result = upscale_photo(upscaler, photo, reference, told)
            encoded = io.BytesIO()
            images.encode(encoded, "PNG", *result)
            return encoded.getvalue()

        try:
            return Response(await turns.run(work, x_request_id), media_type="image/png")
        except BusyError as error:
            raise HTTPException(429, str(error), {"Retry-After": str(_RETRY_SECONDS)}) from error
        except TookTooLongError as error:
            raise HTTPException(503, str(error)) from error
        except images.TooLargeError as error:
            raise HTTPException(413, str(error)) from error
        except images.UnknownFormatError as error:
            raise HTTPException(415, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    app.add_middleware(_BodyLimit, max_bytes=limits.max_bytes)

    @app.middleware("http")
    async def count(request: fastapi.Request, answer: Callable[[fastapi.Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        if request.url.path == "/v1/upscale":
            requests.labels(str(response.status_code)).inc()
        return response

    return app


def run_server(upscaler: TiledUpscaler, model: str, limits: Limits, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests that were accepted are still answered.

    Args:
        upscaler, model, limits: see `create_app`.
        host, port: to listen on; port 0 takes a free one.

    Raises:
        ValueError: a limit that is no positive number, or a port or address that cannot be listened on.
    """
    for name, value in limits._asdict().items():
        if value <= 0:
            raise ValueError(f"--{name.replace('_', '-')} {value} is no positive number")
    if not 0 <= port < 2**16:
        raise ValueError(f"--port {port} is no port; choose one up to 65535, or 0 for a free one")
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port or --host"
        ) from error
    with listener:
        config = uvicorn.Config(
            create_app(upscaler, model, limits), log_level="warning", timeout_graceful_shutdown=int(limits.timeout) + 1
        )
        print(f"serving {model} on http://{host}:{listener.getsockname()[1]}", flush=True)
        # uvicorn hands the signal that ended it on to the handlers from before; it has been dealt with then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        uvicorn.Server(config).run(sockets=[listener])


async def _check_content_type(request: fastapi.Request) -> None:
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise HTTPException(415, f"the request is {kind or 'of no type'}; send multipart/form-data with the files lr and ref")


class _BodyLimit:
    """ASGI middleware that answers 413 to a body that is, or says that it will be, too large."""

    def __init__(self, app: Any, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sentence = f"the request has more than {self._max_bytes:,} bytes; send smaller photos"
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > self._max_bytes:
            await JSONResponse({"detail": sentence}, 413)(scope, receive, send)
            return
        received = 0

        async def limited() -> dict:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413, sentence)
            return message

        await self._app(scope, limited, send)
