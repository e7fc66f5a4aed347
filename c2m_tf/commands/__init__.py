"""The commands of `c2m-tf`, one module each, and what several of them share.

A command's module has `add(commands)`, which adds its parser and sets `run` to a function of the options that returns the exit
code. Heavy modules are imported only when that function runs, so that `c2m-tf --help` is fast.
"""
