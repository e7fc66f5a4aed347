package org.c2mtf.jvm

import com.sun.jna.Function
import com.sun.jna.Library
import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.NativeLibrary
import com.sun.jna.NativeLong
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference
import java.io.File
import org.c2mtf.core.Backend
import org.c2mtf.core.Located
import org.c2mtf.core.ModelSpec
import org.c2mtf.core.SrModel

/** What is used of LiteRT's C interface; all functions give 0 when all went well. Names and types are those of its headers. */
@Suppress("FunctionName", "LongParameterList")
private interface LiteRt : Library {
    fun LiteRtCreateEnvironment(count: Int, options: Pointer?, environment: PointerByReference): Int
    fun LiteRtCreateModelFromFile(environment: Pointer, file: String, model: PointerByReference): Int
    fun LiteRtCreateOptions(options: PointerByReference): Int
    fun LiteRtSetOptionsHardwareAccelerators(options: Pointer, accelerators: Int): Int
    fun LiteRtCreateOpaqueOptions(name: String, payload: Pointer, free: Pointer, options: PointerByReference): Int
    fun LiteRtAddOpaqueOptions(options: Pointer, opaque: Pointer): Int
    fun LiteRtCreateCompiledModel(environment: Pointer, model: Pointer, options: Pointer, compiled: PointerByReference): Int
    fun LiteRtGetNumModelSignatures(model: Pointer, count: NativeLongHolder): Int
    fun LiteRtGetModelSignature(model: Pointer, index: NativeLong, signature: PointerByReference): Int
    fun LiteRtGetSignatureKey(signature: Pointer, key: PointerByReference): Int
    fun LiteRtGetSignatureInputName(signature: Pointer, index: NativeLong, name: PointerByReference): Int
    fun LiteRtGetSignatureOutputName(signature: Pointer, index: NativeLong, name: PointerByReference): Int
    fun LiteRtGetSignatureInputTensorByIndex(signature: Pointer, index: NativeLong, tensor: PointerByReference): Int
    fun LiteRtGetSignatureOutputTensorByIndex(signature: Pointer, index: NativeLong, tensor: PointerByReference): Int
    fun LiteRtGetRankedTensorType(tensor: Pointer, type: Pointer): Int
    fun LiteRtGetCompiledModelInputBufferRequirements(
        compiled: Pointer,
        signature: NativeLong,
        index: NativeLong,
        requirements: PointerByReference,
    ): Int
    fun LiteRtGetCompiledModelOutputBufferRequirements(
        compiled: Pointer,
        signature: NativeLong,
        index: NativeLong,
        requirements: PointerByReference,
    ): Int
    fun LiteRtCreateManagedTensorBufferFromRequirements(
        environment: Pointer,
        type: Pointer,
        requirements: Pointer,
        buffer: PointerByReference,
    ): Int
    fun LiteRtLockTensorBuffer(buffer: Pointer, memory: PointerByReference, mode: Int): Int
    fun LiteRtUnlockTensorBuffer(buffer: Pointer): Int
    fun LiteRtRunCompiledModel(
        compiled: Pointer,
        signature: NativeLong,
        inputCount: NativeLong,
        inputs: Pointer,
        outputCount: NativeLong,
        outputs: Pointer,
    ): Int
    fun LiteRtDestroyTensorBuffer(buffer: Pointer)
    fun LiteRtDestroyCompiledModel(compiled: Pointer)
    fun LiteRtDestroyOptions(options: Pointer)
    fun LiteRtDestroyModel(model: Pointer)
    fun LiteRtDestroyEnvironment(environment: Pointer)
}

/** Room for a size_t. */
class NativeLongHolder : com.sun.jna.ptr.NativeLongByReference()

private const val ALONE = "upscale_alone"
private const val CPU = 1
private const val READ = 0
private const val WRITE = 1
private const val TYPE_BYTES = 72L // of a LiteRtRankedTensorType

/**
 * An exported model on a plain JVM: the runtime that the phone has, libLiteRt.so of PyPI's ai-edge-litert, through JNA.
 *
 * @param library path of libLiteRt.so.
 * @param file the .tflite file, its .json beside it.
 */
class LiteRtModel(library: File, file: File, threads: Int) : SrModel {
    override val backend = Backend.CPU
    override val spec = ModelSpec.parse(File(file.path.removeSuffix(".tflite") + ".json").readText())
    private val liteRt = Native.load(library.path, LiteRt::class.java)
    private val environment = made("environment") { liteRt.LiteRtCreateEnvironment(0, null, it) }
    private val model = made("model") { liteRt.LiteRtCreateModelFromFile(environment, file.path, it) }
    private val options = made("options") { liteRt.LiteRtCreateOptions(it) }
    private val compiled: Pointer
    private val locate: Signature
    private val upscale: Signature
    private val upscaleAlone: Signature?
    override val worksAlone get() = upscaleAlone != null

    init {
        done("accelerator", liteRt.LiteRtSetOptionsHardwareAccelerators(options, CPU))
        val process = NativeLibrary.getProcess()
        val words = "num_threads = $threads\n".toByteArray()
        // The runtime frees this itself.
        val payload = process.getFunction("malloc").invokePointer(arrayOf(NativeLong(words.size + 1L)))
        payload.write(0, words + 0, 0, words.size + 1)
        val free: Function = process.getFunction("free")
        val cpu = made("CPU options") { liteRt.LiteRtCreateOpaqueOptions("xnnpack", payload, free, it) }
        done("CPU options", liteRt.LiteRtAddOpaqueOptions(options, cpu))
        compiled = made("compiled model") { liteRt.LiteRtCreateCompiledModel(environment, model, options, it) }
        locate = Signature("locate", listOf("lr_thumb", "ref_thumb"), listOf("matches", "score"))
        upscale = Signature("upscale", listOf("lr_tile", "ref_window"), listOf("sr"))
        upscaleAlone = if (ALONE in keys()) Signature(ALONE, listOf("lr_tile"), listOf("sr")) else null
    }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located {
        locate.run(listOf(lrThumb, refThumb))
        val count = (spec.lrThumb - 2) * (spec.lrThumb - 2)
        return Located(
            locate.read("matches") { it.getIntArray(0, 2 * count) },
            locate.read("score") { it.getFloatArray(0, count) },
        )
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        upscale.run(listOf(lrTile, refWindow))
        return sr(upscale)
    }

    override fun upscaleAlone(lrTile: FloatArray): FloatArray {
        val signature = checkNotNull(upscaleAlone) { "${spec.file} has no signature $ALONE" }
        signature.run(listOf(lrTile))
        return sr(signature)
    }

    private fun sr(signature: Signature): FloatArray {
        val side = spec.scale * spec.tile
        return signature.read("sr") { it.getFloatArray(0, side * side * 3) }
    }

    override fun close() {
        for (buffer in listOfNotNull(locate, upscale, upscaleAlone).flatMap { it.buffers }) liteRt.LiteRtDestroyTensorBuffer(buffer)
        liteRt.LiteRtDestroyCompiledModel(compiled)
        liteRt.LiteRtDestroyOptions(options)
        liteRt.LiteRtDestroyModel(model)
        liteRt.LiteRtDestroyEnvironment(environment)
    }

    /** One signature, its buffers made once. [inputNames] is the order that [run] takes them in. */
    private inner class Signature(key: String, inputNames: List<String>, outputNames: List<String>) {
        private val index = NativeLong(keys().indexOf(key).toLong())
        private val signature = made(key) { liteRt.LiteRtGetModelSignature(model, index, it) }
        private val inputs = buffers(inputNames.size, liteRt::LiteRtGetSignatureInputName, ::inputBuffer)
        private val outputs = buffers(outputNames.size, liteRt::LiteRtGetSignatureOutputName, ::outputBuffer)
        private val inOrder = inputNames.map(inputs::getValue)
        val buffers get() = inputs.values + outputs.values

        fun run(values: List<FloatArray>) {
            inOrder.zip(values) { buffer, numbers -> locked(buffer, WRITE) { it.write(0, numbers, 0, numbers.size) } }
            done(
                "run",
                liteRt.LiteRtRunCompiledModel(
                    compiled,
                    index,
                    NativeLong(inputs.size.toLong()),
                    array(inputs.values),
                    NativeLong(outputs.size.toLong()),
                    array(outputs.values),
                ),
            )
        }

        fun <T> read(name: String, reader: (Pointer) -> T): T = locked(outputs.getValue(name), READ, reader)

        private fun <T> locked(buffer: Pointer, mode: Int, use: (Pointer) -> T): T {
            val memory = made("buffer's memory") { liteRt.LiteRtLockTensorBuffer(buffer, it, mode) }
            try {
                return use(memory)
            } finally {
                done("unlock", liteRt.LiteRtUnlockTensorBuffer(buffer))
            }
        }

        /** Buffers by name, in the signature's own order. */
        private fun buffers(
            count: Int,
            nameOf: (Pointer, NativeLong, PointerByReference) -> Int,
            make: (NativeLong) -> Pointer,
        ): Map<String, Pointer> = (0 until count).map { NativeLong(it.toLong()) }.associate { at ->
            made("name") { nameOf(signature, at, it) }.getString(0) to make(at)
        }

        private fun inputBuffer(at: NativeLong): Pointer {
            val tensor = made("tensor") { liteRt.LiteRtGetSignatureInputTensorByIndex(signature, at, it) }
            return buffer(tensor, made("requirements") { liteRt.LiteRtGetCompiledModelInputBufferRequirements(compiled, index, at, it) })
        }

        private fun outputBuffer(at: NativeLong): Pointer {
            val tensor = made("tensor") { liteRt.LiteRtGetSignatureOutputTensorByIndex(signature, at, it) }
            return buffer(tensor, made("requirements") { liteRt.LiteRtGetCompiledModelOutputBufferRequirements(compiled, index, at, it) })
        }

        private fun buffer(tensor: Pointer, requirements: Pointer): Pointer {
            val type = Memory(TYPE_BYTES)
            done("tensor's type", liteRt.LiteRtGetRankedTensorType(tensor, type))
            return made("buffer") { liteRt.LiteRtCreateManagedTensorBufferFromRequirements(environment, type, requirements, it) }
        }

        private fun array(pointers: Collection<Pointer>): Pointer {
            val memory = Memory(Native.POINTER_SIZE * pointers.size.toLong())
            pointers.forEachIndexed { at, pointer -> memory.setPointer(Native.POINTER_SIZE * at.toLong(), pointer) }
            return memory
        }
    }

    /** Names of the file's signatures, in its own order. */
    private fun keys(): List<String> {
        val count = NativeLongHolder()
        done("signatures", liteRt.LiteRtGetNumModelSignatures(model, count))
        return (0 until count.value.toLong()).map { at ->
            val signature = made("signature") { liteRt.LiteRtGetModelSignature(model, NativeLong(at), it) }
            made("key") { liteRt.LiteRtGetSignatureKey(signature, it) }.getString(0)
        }
    }

    private fun made(what: String, make: (PointerByReference) -> Int): Pointer {
        val place = PointerByReference()
        done(what, make(place))
        return place.value
    }

    private fun done(what: String, status: Int) = check(status == 0) { "LiteRT: $what failed with status $status" }
}
