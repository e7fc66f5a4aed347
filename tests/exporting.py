"""Exports on the command line, and what their files give."""

from c2m_tf.cli import main


def export(arguments):
    """Runs c2m-tf export; returns the exit code."""
    return main(["export", *arguments])


def run(path, signature, **inputs):
    """What a signature of a .tflite file gives."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), num_threads=2).get_signature_runner(signature)(**inputs)
