"""The commands of `c2m-tf`, one module each, with what several of them share.

A command's module has `add(commands)`, which adds its parser and sets `run` to a function of the options that returns the exit
code. Nothing heavy is imported before that function runs, so that `c2m-tf --help` answers at once.
"""
