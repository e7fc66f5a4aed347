"""Restores with a SavedModel of `c2m-tf export saved-model`, as TensorFlow Serving does: the whole photo at once.

It imports TensorFlow itself, because a SavedModel is TensorFlow's. A SavedModel is a program: one that could do more than
compute is not loaded unless it is trusted, because TensorFlow runs parts of its graph when it is loaded.

A SavedModel is harmless if it consists of operations that are listed here: they compute, control a graph, or keep numbers in
memory, and exports need them. All others may read and write files, call Python or other machines, or are unknown. TensorFlow's
own "stateless" does not tell them apart: ReadFile is. Every SavedModel has functions by which TensorFlow saves and restores its
variables; they may use files, and nothing else may call them.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from c2m_tf.photos.pixels import SCALE, as_float
from c2m_tf.startup import first_line, quiet
from c2m_tf.upscaling.base import TiledUpscaler, Work
from c2m_tf.upscaling.plans import Plan, make_plan
from c2m_tf.upscaling.tiles import Tile

_COMPUTING = """
         Abs Add AddN AddV2 All Any ArgMax ArgMin Assert AssignVariableOp AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3
    BatchToSpaceND BiasAdd BitwiseAnd BitwiseOr BroadcastArgs BroadcastTo Case Cast Ceil ClipByValue Concat ConcatV2 Const
    Conv2D Conv2DBackpropInput Cos Cumsum DecodeBmp DecodeImage DecodeJpeg DecodePng DecodeRaw DepthToSpace
    DepthwiseConv2dNative DisableCopyOnRead Div DivNoNan Einsum Elu EncodeJpeg EncodePng EnsureShape Equal Erf Exp
    ExpandDims Expm1 ExtractImagePatches ExtractJpegShape FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather
    GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If Inv InvertPermutation IsFinite IsInf IsNan LeakyRelu
    LeftShift Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean
    Min Minimum MirrorPad Mod Mul MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall Placeholder
    PlaceholderWithDefault Pow Prod Range Rank ReadVariableOp RealDiv Relu Relu6 Reshape ResizeArea ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor ReverseV2 RightShift Rint Roll Round Rsqrt ScatterNd Select SelectV2 Selu Shape
    ShapeN Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
    SquaredDifference Squeeze StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile StopGradient StridedSlice
    StringLength Sub Substr Sum Tanh TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength
    TensorListReserve TensorListResize TensorListSetItem TensorListStack TensorScatterAdd TensorScatterUpdate Tile TopKV2
    Transpose TruncateDiv Unpack VarHandleOp VarIsInitializedOp Where While ZerosLike
"""
_HARMLESS = frozenset(_COMPUTING.split())
_SAVING = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"}

_SIGNATURES = {"upscale": ("lr", "ref"), "upscale_alone": ("lr",)}


def harmful_operations(folder: Path) -> list[str]:
    """Operations of a SavedModel that may do more than compute, in order of their names; nothing is run.

    Args:
        folder: of the version, with saved_model.pb.

    Raises:
        ValueError: the file is damaged, or of TensorFlow 1, whose loading runs all of it.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:  # of protobuf's own classes
        raise ValueError(f"{folder} cannot be loaded as a SavedModel: saved_model.pb is damaged") from error
    # TensorFlow takes several graphs, or one without objects, for its version 1, and runs what initialises and restores them.
    if [graph.HasField("object_graph_def") for graph in model.meta_graphs] != [True]:
        raise ValueError(f"{folder} is a SavedModel of TensorFlow 1; make one by c2m-tf export saved-model")
    return sorted(set(_harmful(model.meta_graphs[0])))


def _harmful(graph: Any) -> Iterator[str]:
    savers = {node.name: _called(node) for node in graph.graph_def.node if node.name in _saver_nodes(graph)}
    saving = {name for names in savers.values() for name in names}
    for name in saving & set(_functions_of_objects(graph.object_graph_def)):
        yield f"call of {name}"
    library = graph.graph_def.library.function
    if any("api_implements" in function.attr for function in library):
        yield "exchange of functions"  # TensorFlow calls another one that claims to do the same
    functions = {function.signature.name: function.node_def for function in library}
    for owner, nodes in [(None, graph.graph_def.node), *functions.items()]:
        allowed = _HARMLESS | _SAVING if owner in saving else _HARMLESS
        for node in nodes:
            if node.op not in allowed:
                yield node.op
            calls = set(_called(node)) & saving
            if calls and not (owner is None and node.name in savers):
                yield f"{node.op} of {min(calls)}"


def _saver_nodes(graph: Any) -> set[str]:
    """Names of the nodes by which variables are saved and restored."""
    saver = graph.saver_def
    return {name.partition(":")[0] for name in (saver.save_tensor_name, saver.restore_op_name) if name}


def _functions_of_objects(objects: Any) -> Iterator[str]:
    """Names of the functions that objects, signatures among them, call."""
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name


def _called(node: Any) -> list[str]:
    """Names of the functions that a node's attributes mention."""
    return [function.name for value in node.attr.values() for function in (value.func, *value.list.func) if function.name]


class SavedModelUpscaler(TiledUpscaler):
    """Restores photos with a SavedModel, with at most one reference, within the limits that it was exported with.

    Args:
        folder: a folder of versions, of which the newest is used, or a version itself.
        trusted: load it even if its operations could read or write files or call Python.

    Raises:
        ValueError: not a SavedModel of this package, or one that could do more than compute.
    """

    max_references = 1
    reports_matches = False

    def __init__(self, folder: str | os.PathLike, *, trusted: bool = False) -> None:
        import tensorflow as tf

        self._version = version = _newest(Path(folder))
        harmful = [] if trusted else harmful_operations(version)
        if harmful:
            raise ValueError(
                f"{version} could do more than compute ({', '.join(harmful)}), and was not loaded; "
                f"if you trust who made it, give --trust-model"
            )
        with quiet():  # TensorFlow prints a traceback of a damaged fingerprint, without which it loads a model as well
            try:
                self._loaded = tf.saved_model.load(str(version))
            except Exception as error:  # a damaged one may raise anything: what protobuf and TensorFlow raise on any bytes
                raise ValueError(f"{version} cannot be loaded as a SavedModel: {first_line(error)}") from error
        signatures = getattr(self._loaded, "signatures", {})
        if "upscale" not in signatures:
            raise ValueError(f"{version} has no signature upscale; make one by c2m-tf export saved-model")
        for name, inputs in _SIGNATURES.items():
            if name in signatures and not _fits(signatures[name], inputs):
                needed = f"{name}({', '.join(inputs)}) -> sr"
                raise ValueError(f"{version} has no signature {needed}; make one by c2m-tf export saved-model")
        self.restores_alone = "upscale_alone" in signatures
        self._errors = tf.errors.OpError

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        side = max(lr_shape[:2])
        return make_plan(lr_shape, list(ref_shapes), "exact", -(-side // 4) * 4, 0)

    def _find(self, work: Work) -> None:
        return None

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        yield self._run("upscale", lr=as_float(work.lr)[None], ref=as_float(work.reference.photos[0])[None])

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        yield self._run("upscale_alone", lr=as_float(lr)[None])

    def _run(self, signature: Any, **photos: np.ndarray) -> np.ndarray:
        try:
            sr = self._loaded.signatures[signature](**photos)["sr"].numpy()
        except self._errors as error:
            raise ValueError(_sentence(error.message)) from error
        _, height, width, _ = photos["lr"].shape
        if sr.shape != (1, SCALE * height, SCALE * width, 3):
            raise ValueError(f"{self._version} gives {sr.shape} for a photo of {width}x{height} pixels; export it again")
        return sr[0]


def _fits(signature: Any, inputs: Iterable[str]) -> bool:
    """Whether a signature has those inputs and gives floats named sr."""
    outputs = signature.structured_outputs
    return set(signature.structured_input_signature[1]) == set(inputs) and "sr" in outputs and outputs["sr"].dtype.is_floating


def _sentence(message: str) -> str:
    """The message of the graph's own check, without what TensorFlow adds."""
    found = re.search(r"assertion failed: \[(.*?)\]", message)
    return found[1] if found else " ".join(message.split())


def is_version(name: str) -> bool:
    """Whether a folder of that name is a version of a SavedModel: a number as TensorFlow Serving takes it."""
    return name.isascii() and name.isdigit()


def _newest(folder: Path) -> Path:
    """The folder of the SavedModel itself."""
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.iterdir() if is_version(path.name) and (path / "saved_model.pb").is_file()]
    if not versions:
        raise ValueError(f"{folder} holds no SavedModel; make one by c2m-tf export saved-model -o {folder}")
    return max(versions, key=lambda path: int(path.name))
