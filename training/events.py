"""TensorBoard files of a run: scalars and pictures, on any backend."""

import io
import os
import time

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


class Events:
    """Writes the event file of a run.

    Args:
        folder: run folder.
        first_iteration: TensorBoard forgets what earlier files of the folder say about later iterations.
    """

    def __init__(self, folder: str | os.PathLike, first_iteration: int = 0) -> None:
        self._writer = EventFileWriter(str(folder))
        start = SessionLog(status=SessionLog.START)
        self._writer.add_event(Event(wall_time=time.time(), step=first_iteration, session_log=start))

    def scalars(self, iteration: int, values: dict[str, float]) -> None:
        """Adds a point to the curve of each name."""
        self._add(iteration, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def picture(self, iteration: int, name: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 [H,W,3]."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        height, width, channels = pixels.shape
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue())
        self._add(iteration, [Summary.Value(tag=name, image=image)])

    def close(self) -> None:
        """Writes what is still buffered."""
        self._writer.close()

    def _add(self, iteration, values):
        self._writer.add_event(Event(wall_time=time.time(), step=iteration, summary=Summary(value=values)))
        self._writer.flush()
