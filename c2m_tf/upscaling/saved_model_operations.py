"""What a SavedModel could do besides computing. Its graph is a program: TensorFlow runs parts of it when it is loaded.

A SavedModel is harmless if it consists of operations that are listed here: they compute, control a graph, or keep numbers in
memory, and exports need them. All others may read and write files, call Python or other machines, or are unknown. TensorFlow's
own "stateless" does not tell them apart: ReadFile is. Every SavedModel has functions by which TensorFlow saves and restores its
variables; they may use files, and nothing else may call them.
"""

from collections.abc import Iterator
from pathlib import Path

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


def _harmful(graph) -> Iterator[str]:
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


def _saver_nodes(graph):
    """Names of the nodes by which variables are saved and restored."""
    saver = graph.saver_def
    return {name.partition(":")[0] for name in (saver.save_tensor_name, saver.restore_op_name) if name}


def _functions_of_objects(objects):
    """Names of the functions that objects, signatures among them, call."""
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name


def _called(node) -> list[str]:
    """Names of the functions that a node's attributes mention."""
    return [function.name for value in node.attr.values() for function in (value.func, *value.list.func) if function.name]
