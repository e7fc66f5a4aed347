"""Weights: presets, published checkpoints, VGG, and models in files."""
