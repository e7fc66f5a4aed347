"""Upscaling photos of any size, with a Keras model, a .tflite file or a SavedModel."""
