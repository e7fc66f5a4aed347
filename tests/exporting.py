"""Exports on the command line."""

from c2m_tf.cli import main


def export(arguments):
    """Runs c2m-tf export; returns the exit code."""
    return main(["export", *arguments])
