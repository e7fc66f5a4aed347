"""SavedModels are programs: what could do more than compute is not loaded, and models of another form are named."""

import numpy as np
import pytest
import tensorflow as tf
from c2m_tf.export.saved_model import export_saved_model

from c2m_tf import Upscaler
from c2m_tf.upscaling.saved_model_operations import harmful_operations

PHOTOS, NAMED_OTHERWISE = (
    [tf.TensorSpec([1, None, None, 3], tf.float32, name) for name in names] for names in (("lr", "ref"), ("photo", "ref"))
)


def repeated(lr):
    return {"sr": tf.repeat(tf.repeat(lr, 4, 1), 4, 2)}


def saved(folder, upscale=lambda lr, ref: repeated(lr), alone=repeated, resource=None, photos=PHOTOS):
    module = tf.Module()
    module.resource = resource
    module.upscale = tf.function(upscale, input_signature=photos)
    module.alone = tf.function(alone, input_signature=photos[:1])
    tf.saved_model.save(module, str(folder / "1"), signatures={"upscale": module.upscale, "upscale_alone": module.alone})
    return folder


class Resource(tf.saved_model.experimental.TrackableResource):
    """Writes a file as soon as it is loaded."""

    def __init__(self, target):
        super().__init__()
        self._target = target

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

    def _initialize(self):
        tf.io.write_file(self._target, "written")


def reads(lr, ref):
    del ref
    return repeated(lr * tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")) >= 0, tf.float32))


def calls_python(lr, ref):
    del ref
    return repeated(tf.ensure_shape(tf.numpy_function(lambda photo: photo, [lr], tf.float32), lr.shape))


def prints(lr, ref):
    del ref
    tf.print("a line", output_stream="file:///tmp/c2m-tf-printed")
    return repeated(lr)


@pytest.mark.parametrize(
    ("upscale", "operation"),
    [(reads, "ReadFile"), (calls_python, "PyFunc"), (prints, "PrintV2, StringFormat")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_model_that_could_do_more_than_compute_is_not_loaded(tmp_path, upscale, operation):
    with pytest.raises(ValueError, match=rf"more than compute \({operation}\), and was not loaded; .* --trust-model"):
        Upscaler.from_preset(saved(tmp_path, upscale))


def test_what_would_run_at_loading_does_not_run_unless_the_model_is_trusted(tmp_path):
    target = tmp_path / "written"
    saved(tmp_path / "model", resource=Resource(str(target)))
    target.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="WriteFile"):
        Upscaler.from_preset(tmp_path / "model")
    assert not target.exists()
    upscaler = Upscaler.from_preset(tmp_path / "model", trusted=True)
    assert target.exists()
    assert upscaler(np.zeros((4, 5, 3), np.float32)).image.rgb.shape == (16, 20, 3)


def test_only_tensorflow_may_call_what_saves_variables(tmp_path, light):
    version = export_saved_model(light, tmp_path)
    assert harmful_operations(version) == []
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((version / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    (saver,) = (function for function in graph.graph_def.library.function if "traced_save" in function.signature.name)
    call = graph.graph_def.library.function.add(signature={"name": "of_somebody"}).node_def.add(
        name="call", op="PartitionedCall"
    )
    call.attr["f"].func.name = saver.signature.name
    (version / "saved_model.pb").write_bytes(model.SerializeToString())
    assert harmful_operations(version) == [f"PartitionedCall of {saver.signature.name}"]
    graph.object_graph_def.concrete_functions[saver.signature.name].SetInParent()
    (version / "saved_model.pb").write_bytes(model.SerializeToString())
    assert f"call of {saver.signature.name}" in harmful_operations(version)


@pytest.mark.parametrize("fault", ["output", "input", "size", "photo"])
def test_models_of_another_form_are_named(tmp_path, fault):
    others = {
        "output": {"upscale": lambda lr, ref: {"out": lr}},
        "input": {"upscale": lambda photo, ref: repeated(photo), "photos": NAMED_OTHERWISE},
        "size": {"upscale": lambda lr, ref: {"sr": lr}, "alone": lambda lr: {"sr": lr}},
        "photo": {"alone": lambda lr: {"ss": lr}},
    }
    saved(tmp_path, **others[fault])
    with pytest.raises(
        ValueError, match=r"has no signature upscale.* -> sr; make one|gives \(1, 4, 5, 3\) for a photo of 5x4 pixels"
    ):
        Upscaler.from_preset(tmp_path)(np.zeros((4, 5, 3), np.float32))
