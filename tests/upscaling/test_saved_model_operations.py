"""SavedModels are programs: what could do more than compute is not loaded, and models of another form are named."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from c2m_tf import Upscaler
from c2m_tf.upscaling.saved_model_upscaler import harmful_operations

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


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with a variable, which TensorFlow saves."""
    return saved(tmp_path_factory.mktemp("exported"), resource=tf.Variable(1.0)) / "1"


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


def _called_by_a_function(graph, saver):
    function = graph.graph_def.library.function.add(signature={"name": "of_somebody"})
    function.node_def.add(name="call", op="PartitionedCall").attr["f"].func.name = saver


def _named(graph, saver):
    graph.object_graph_def.concrete_functions[saver].SetInParent()


def _called_by_an_object(graph, saver):
    graph.object_graph_def.nodes.add().function.concrete_functions.append(saver)


def _called_by_a_signature(graph, saver):
    graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saver


def _exchanged(graph, saver):
    graph.graph_def.library.function[0].attr["api_implements"].s = b"the same"


@pytest.mark.parametrize(
    ("change", "harm"),
    [
        (_called_by_a_function, "PartitionedCall of {}"),
        (_named, "call of {}"),
        (_called_by_an_object, "call of {}"),
        (_called_by_a_signature, "call of {}"),
        (_exchanged, "exchange of functions"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_only_tensorflow_may_call_what_saves_variables(exported, tmp_path, change, harm):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((exported / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    (saver,) = (name for function in graph.graph_def.library.function if "traced_save" in (name := function.signature.name))
    change(graph, saver)
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert harmful_operations(exported) == []
    assert harmful_operations(tmp_path) == [harm.format(saver)]


def test_what_tensorflow_takes_for_its_version_1_is_refused(exported, tmp_path):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((exported / "saved_model.pb").read_bytes())
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="is a SavedModel of TensorFlow 1"):
        harmful_operations(tmp_path)


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
