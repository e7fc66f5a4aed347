// The part of LiteRT 2.3's Kotlin interface that the app uses, so that its sources can be compiled where the library cannot be had.
@file:Suppress("UNUSED_PARAMETER", "unused")

package com.google.ai.edge.litert

import android.content.res.AssetManager

class LiteRtException(message: String) : Exception(message)

enum class Accelerator { CPU, GPU, NPU }

class Environment private constructor() : AutoCloseable {
    fun getAvailableAccelerators(): Set<Accelerator> = setOf()

    override fun close() = Unit

    companion object {
        fun create() = Environment()
    }
}

class TensorBuffer : AutoCloseable {
    fun writeFloat(data: FloatArray) = Unit

    fun readFloat() = FloatArray(0)

    fun readInt() = IntArray(0)

    override fun close() = Unit
}

class CompiledModel private constructor() : AutoCloseable {
    data class CpuOptions(val numThreads: Int? = null)

    data class GpuOptions(val precision: Precision? = null) {
        enum class Precision { DEFAULT, FP16, FP32 }
    }

    class Options(vararg accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
        var gpuOptions: GpuOptions? = null
    }

    fun createInputBuffer(inputName: String, signature: String = "") = TensorBuffer()

    fun createOutputBuffer(outputName: String, signature: String = "") = TensorBuffer()

    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String = "") = Unit

    override fun close() = Unit

    companion object {
        fun create(assetManager: AssetManager, assetName: String, options: Options, optionalEnv: Environment?) = CompiledModel()
    }
}
