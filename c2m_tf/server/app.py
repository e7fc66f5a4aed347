"""An HTTP server around an upscaler: POST /v1/upscale takes photos and returns a PNG; / is a page to try it.

Memory and time are bounded for any input (docs/limits.md): `RequestLimits` bounds bytes, simultaneous uploads and the time from
the first byte; headers of photos are read and memory is estimated before any pixel is decoded; one photo is upscaled at a time
(`WorkQueue`), so that simultaneous requests give the same bytes as single ones.

    400 a multipart body that cannot be read, or with too many parts      422 a photo that cannot be used, or an unknown field
    403 a name that is not allowed, or a page of another site             429 too many requests wait, or uploads are under way
    408 the upload took too long                                          503 it took too long, or the server is not ready yet
    413 too many bytes or pixels, or more memory needed than allowed      507 the server has no room for the upload
    415 not multipart/form-data, or no photo
"""

import asyncio
import io
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import resources
from typing import Annotated, Any, NamedTuple

import fastapi
import prometheus_client
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from c2m_tf import __version__
from c2m_tf.photos import images
from c2m_tf.photos.result_size import Region, ResultSize
from c2m_tf.server.health import Health, description_page
from c2m_tf.server.limits import Limits
from c2m_tf.server.middleware import (
    CLIENT_LEFT,
    RETRY_SECONDS,
    UPSCALE_PATH,
    BoundedRoute,
    Protection,
    RequestLimits,
    RequestLog,
    policy_of,
)
from c2m_tf.server.queue import BusyError, ClientLeftError, TookTooLongError, WorkQueue, in_time
from c2m_tf.startup import printable
from c2m_tf.upscaling.album import Album
from c2m_tf.upscaling.upscaler import PreparedPhoto, Upscaler

_MODULES = ("compare-slider.js", "photo-slot.js")  # of the page


class Problem(BaseModel):
    """What is wrong with a request, in one sentence."""

    detail: str


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A body that cannot be read as multipart/form-data, or has too many parts."},
    403: {"model": Problem, "description": "A name that is not allowed, or a page of another site."},
    408: {"model": Problem, "description": "The upload took too long."},
    413: {"model": Problem, "description": "Too many bytes or pixels, or more memory needed than allowed."},
    415: {"model": Problem, "description": "Not multipart/form-data, or a file that is no photo."},
    422: {"model": Problem, "description": "A file is missing, a field unknown, or a photo cannot be used."},
    429: {"model": Problem, "description": "Too many requests wait or arrive; try again after Retry-After seconds."},
    503: {"model": Problem, "description": "It took too long, or the server is not ready yet."},
    507: {"model": Problem, "description": "The server has no room for the upload."},
}


def create_app(
    upscaler: Upscaler, model: str, limits: Limits, *, warms_up: bool = False, hosts: Collection[str] = ()
) -> fastapi.FastAPI:
    """The application.

    Args:
        upscaler: Upscaler.
        model: name of the model, as /healthz reports it.
        limits: Limits.
        warms_up: whether first photos are upscaled when the application starts, before /v2/health/ready says so.
        hosts: names by which it may be called, see `middleware.Protection`.

    Returns:
        fastapi.FastAPI.
    """
    queue = WorkQueue(limits.queue)
    health_of = Health(queue, upscaler.warm_up if warms_up else None)
    description = "4x super-resolution with a reference photo."
    app = fastapi.FastAPI(
        title="c2m-tf",
        version=__version__,
        description=description,
        lifespan=health_of.lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.health = health_of  # for what runs the application and is no client
    health_of.add_to(app, {"model": Problem, "description": "Not yet, or never: the detail says why."})
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    requests = prometheus_client.Counter("c2m_requests", "Requests to upscale, by status.", ["status"], registry=registry)
    seconds = prometheus_client.Histogram(
        "c2m_upscale_seconds", "Time to upscale a photo.", registry=registry, buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    )
    pending = prometheus_client.Gauge("c2m_pending_requests", "Requests waiting or worked on.", registry=registry)
    pending.set_function(lambda: queue.pending)
    folder = resources.files("c2m_tf.server")
    page, *modules = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("index.html", *_MODULES))

    page_policy = {"content-security-policy": policy_of(page)}

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False, response_class=HTMLResponse)
    async def index() -> Response:
        return HTMLResponse(page, headers=page_policy)

    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    async def documentation() -> Response:
        described = description_page(app.openapi())
        return HTMLResponse(described, headers={"content-security-policy": policy_of(described)})

    for name, module in zip(_MODULES, modules, strict=True):
        app.get(f"/{name}", include_in_schema=False)(partial(_script, module))

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def health() -> dict[str, Any]:
        """Whether the server is up, and what it serves."""
        return {"status": "ok", "model": model, "version": __version__, "limits": limits._asdict()}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.get("/v1/progress/{request_id}", responses={404: {"model": Problem, "description": "No such request is pending."}})
    async def progress(request_id: str) -> dict[str, Any]:
        """How far the request with that X-Request-ID is: {"state": "waiting"|"running", "done": tiles, "total": tiles}."""
        found = queue.progress(request_id)
        if found is None:
            raise HTTPException(404, f"no request {request_id[:64]} is waiting or running")
        return found._asdict()

    def prepare(files: ExitStack, sent: _Sent) -> PreparedPhoto:
        """The photo, checked as far as headers allow; raises ValueError if they break a limit. Nothing is decoded."""
        photo = files.enter_context(images.Image.open(sent.lr.file, "photo", limits.max_lr_pixels))
        references: list[images.Image] = []
        total = 0
        for name, file in (*_named(sent.ref, "reference"), *_named(sent.album, "photo of the album")):
            with ExitStack() as header:
                image = header.enter_context(images.Image.open(file.file, name, limits.max_ref_pixels))
                total += image.stored_shape[0] * image.stored_shape[1]
                if len(references) < len(sent.ref):
                    image.filename = file.filename
                    references.append(image)
                    files.enter_context(header.pop_all())
        if total > limits.max_ref_pixels:
            raise images.TooLargeError(
                f"{len(sent.ref) + len(sent.album)} references have {total:,} pixels together, more than the limit of "
                f"{limits.max_ref_pixels:,}"
            )
        if sent.ref and sent.album:
            raise ValueError("ref and album are given; send references, or photos to choose them from")
        return files.enter_context(upscaler.prepare(photo, references or None, sent.strength, *sent.wanted))

    def upscaled(prepared: PreparedPhoto, sent: _Sent, report: Callable[[int, int], None]) -> Response:
        """The answer; `report` raises once nobody waits for it."""
        with seconds.time(), ExitStack() as files:
            if sent.album:
                album = Album({name: file.file for name, file in _named(sent.album, "photo")})
                album.index(lambda names: _reporting(names, report))
                prepared = files.enter_context(upscaler.prepare(prepared.lr, None, sent.strength, *sent.wanted, album))
            result = prepared.run(report)
        image, evidence = result.image, result.evidence
        photo = _png(image.rgb, image.alpha, image.gray, image.icc_profile, image.metadata)
        if not sent.evidence:
            return Response(photo, media_type="image/png")
        shares = [] if evidence is None else zip(evidence.names, evidence.shares, strict=True)
        words = {
            "model": result.preset or model,
            "reason": result.reason,
            "album": result.album,
            "references": [{"name": name, "share": share} for name, share in shares],
        }
        parts = [("photo", "image/png", photo), ("report", "application/json", json.dumps(words).encode())]
        if evidence is not None:
            layer = evidence.layer()
            parts.append(("evidence", "image/png", _png(layer[..., :3], layer[..., 3])))
        return _multipart(parts)

    router = fastapi.APIRouter(route_class=BoundedRoute)

    @router.post(
        UPSCALE_PATH,
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}, "multipart/form-data": {}}, "description": "The photo, enlarged."},
            **_PROBLEMS,
        },
    )
    async def upscale(
        request: fastapi.Request,
        lr: fastapi.UploadFile,
        ref: Annotated[list[fastapi.UploadFile], fastapi.File(default_factory=list)],
        album: Annotated[list[fastapi.UploadFile], fastapi.File(default_factory=list)],
        strength: Annotated[float, fastapi.Form(ge=0.0, le=1.0)] = 1.0,
        scale: Annotated[float | None, fastapi.Form(gt=0.0, le=4.0)] = None,
        size: Annotated[str | None, fastapi.Form()] = None,
        long_side: Annotated[int | None, fastapi.Form(ge=1)] = None,
        region: Annotated[str | None, fastapi.Form()] = None,
        evidence: Annotated[bool, fastapi.Form()] = False,
        x_request_id: Annotated[str | None, fastapi.Header(max_length=64)] = None,
    ) -> Response:
        """Upscales the photo `lr` with any number of reference photos `ref`: PNG, JPEG, WebP, BMP or TIFF.

        Without a reference, or at strength 0, the network works alone; 1 uses all of a reference that fits. The result is
        four times as large, or as one of `scale`, `size` (3840x, x2160 or 3840x2160) and `long_side` says; `region`
        (X,Y,WIDTH,HEIGHT in pixels of the photo) asks for a part of it, which costs less. Out of the photos `album` those are
        chosen as references that show the photo. With `evidence` the answer is multipart/form-data: `photo`; `evidence`, a PNG
        to lay over it that colours what comes from references; and `report`, JSON with `references` (`name`, `share`), `album`
        (what was chosen, and why), `model` and `reason`.
        """
        try:
            upscaler.check_strength(strength)
            with ExitStack() as files:
                part = None if region is None else Region.of(region)
                wanted = ResultSize(scale, size, long_side), part
                sent = _Sent(lr, ref if strength > 0 else [], album if strength > 0 else [], strength, wanted, evidence)
                preparing = run_in_threadpool(prepare, files, sent)
                prepared = await in_time(preparing, request.state.deadline)
                left = request.state.deadline - asyncio.get_running_loop().time()
                request.state.end_upload()  # from here on it counts as waiting
                work = partial(upscaled, prepared, sent)
                return await queue.run(work, _client_left(request), left, x_request_id)
        except BusyError as error:
            raise _busy(error) from error
        except ClientLeftError:
            return Response(status_code=CLIENT_LEFT)
        except TookTooLongError as error:
            sentence = f"no result within {limits.timeout:g} seconds; send smaller photos or try later"
            raise HTTPException(503, sentence) from error
        except images.TooLargeError as error:
            raise HTTPException(413, str(error)) from error
        except images.UnknownFormatError as error:
            raise HTTPException(415, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    app.include_router(router)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: fastapi.Request, error: RequestValidationError) -> Response:
        problems = [f"{'.'.join(str(part) for part in problem['loc'][1:])}: {_reason(problem)}" for problem in error.errors()]
        return JSONResponse({"detail": "; ".join(problems)}, 422)

    def check_room() -> None:
        if health_of.starting:
            raise HTTPException(503, "not ready yet: first photos are being upscaled", {"Retry-After": str(RETRY_SECONDS)})
        try:
            queue.check_room()
        except BusyError as error:
            raise _busy(error) from error

    app.add_middleware(
        RequestLimits, limits=limits, check_room=check_room, count=lambda status: requests.labels(str(status)).inc()
    )
    app.add_middleware(Protection, hosts=hosts)
    app.add_middleware(RequestLog)
    return app


class _Sent(NamedTuple):
    """What a request sends."""

    lr: fastapi.UploadFile
    ref: list[fastapi.UploadFile]
    album: list[fastapi.UploadFile]
    strength: float
    wanted: tuple[ResultSize, Region | None]
    evidence: bool


def _named(files: Sequence[fastapi.UploadFile], kind: str) -> list[tuple[str, fastapi.UploadFile]]:
    """Files, each with a name for sentences about it."""
    return [(printable(file.filename or f"{kind} {number}"), file) for number, file in enumerate(files, 1)]


def _reporting(names: Sequence[str], report: Callable[[int, int], None]) -> Iterator[str]:
    """The names; `report` ends it where nobody waits."""
    for name in names:
        report(0, 0)
        yield name


def _png(*pixels: Any) -> bytes:
    """A PNG file; arguments as of `images.encode`."""
    file = io.BytesIO()
    images.encode(file, "PNG", *pixels)
    return file.getvalue()


def _multipart(parts: Sequence[tuple[str, str, bytes]]) -> Response:
    """A response of several (name, media type, content), which browsers read by `Response.formData`."""
    boundary = secrets.token_hex(16)
    heads = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        for name, kind, _ in parts
    ]
    body = b"".join(head.encode() + content + b"\r\n" for head, (_, _, content) in zip(heads, parts, strict=True))
    return Response(body + f"--{boundary}--\r\n".encode(), media_type=f"multipart/form-data; boundary={boundary}")


async def _script(text: str) -> Response:
    return Response(text, media_type="text/javascript")


async def _client_left(request: fastapi.Request) -> None:
    """Ends when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _busy(error: BusyError) -> HTTPException:
    return HTTPException(429, str(error), {"Retry-After": str(RETRY_SECONDS)})


def _reason(problem: Mapping[str, Any]) -> str:
    """What is wrong with a field, in words; FastAPI names the class that it expects of a file."""
    return "expected is a file, a part with a filename" if "UploadFile" in problem["msg"] else problem["msg"]
