"""Commands in processes of their own, forked from one that has imported everything, so that many can be killed in a minute."""

import multiprocessing
import os
import sys
from unittest import mock

from plain_upscaler import PlainUpscaler

from c2m_tf.cli import main
from c2m_tf.upscaling import opening

_FORKSERVER = multiprocessing.get_context("forkserver")
# Keras and TensorFlow among them, which have computed nothing where processes are forked.
_IMPORTED = ["c2m_tf.training.stages", "c2m_tf.evaluation.reports", "c2m_tf.jobs.tables"]
_FORKSERVER.set_forkserver_preload(["forked_commands", *_IMPORTED])


def start(arguments, log):
    """A process that runs a command line, and prints to the file `log`; what upscales is a `PlainUpscaler`."""
    process = _FORKSERVER.Process(target=_run, args=(arguments, log))
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # by which the server finds what it imports
        process.start()
    return process


def _run(arguments, log):
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(printed, number)
    opening.open_model = lambda source, **settings: PlainUpscaler()
    os._exit(main(arguments))
