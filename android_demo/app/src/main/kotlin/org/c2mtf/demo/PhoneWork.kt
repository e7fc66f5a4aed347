package org.c2mtf.demo

import android.app.ActivityManager
import android.content.Context
import android.graphics.Bitmap
import java.io.IOException
import org.c2mtf.core.Backend
import org.c2mtf.core.FallbackModel
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.LEAST_LR
import org.c2mtf.core.LEAST_REF
import org.c2mtf.core.ModelSpec
import org.c2mtf.core.Pipeline
import org.c2mtf.core.Reason
import org.c2mtf.core.SCALE
import org.c2mtf.core.Size
import org.c2mtf.core.SrModel
import org.c2mtf.core.Upscaled
import org.c2mtf.core.Work
import org.c2mtf.core.memoryNeeded

/** Jobs on the phone: photos read, memory checked, the pipeline run, the result kept. */
class PhoneWork(private val context: Context) : Work {
    private val photos = PhotoReader(context.contentResolver)
    val results = ResultStore(context.filesDir, context.contentResolver)

    /** Whether the model in the assets can be tried on the GPU. */
    val suitsGpu: Boolean
        get() = try {
            spec().suitsGpu
        } catch (_: JobFailedException) {
            false // the next job says what is wrong with the model
        }

    override fun upscale(
        lr: String,
        reference: String?,
        backend: Backend,
        progress: (Int, Int) -> Unit,
        cancelled: () -> Boolean,
    ): Upscaled {
        val spec = spec()
        check(photos.size(lr), reference?.let(photos::size), spec)
        model(spec, backend).use { model ->
            if (reference == null && !model.worksAlone) throw JobFailedException(Reason.NEEDS_REFERENCE)
            val photo = photos.read(lr)
            val references = listOfNotNull(reference).map(photos::read)
            val width = SCALE * photo.width
            val result = Bitmap.createBitmap(width, SCALE * photo.height, Bitmap.Config.ARGB_8888)
            try {
                val sink = { first: Int, rows: IntArray -> result.setPixels(rows, 0, width, 0, first, width, rows.size / width) }
                Pipeline(model).upscale(photo, references, sink, progress, cancelled)
                model.close() // the runtime's memory, before the result is compressed
                return Upscaled(results.keep(result), model.backend)
            } finally {
                result.recycle()
            }
        }
    }

    override fun save(result: String): Boolean = results.saveToPictures(result)

    /** The description of the model in the assets. */
    private fun spec(): ModelSpec {
        val assets = context.assets
        val name = assets.list("")?.singleOrNull { it.endsWith(".json") } ?: throw JobFailedException(Reason.NO_MODEL)
        return try {
            ModelSpec.parse(assets.open(name).use { it.readBytes() }.decodeToString())
        } catch (error: IOException) {
            throw JobFailedException(Reason.NO_MODEL, error)
        } catch (error: IllegalArgumentException) {
            throw JobFailedException(Reason.NO_MODEL, error)
        }
    }

    private fun check(lr: Size, reference: Size?, spec: ModelSpec) {
        val referenceTooSmall = reference != null && minOf(reference.height, reference.width) < LEAST_REF
        if (minOf(lr.height, lr.width) < LEAST_LR || referenceTooSmall) throw JobFailedException(Reason.TOO_SMALL)
        val memory = ActivityManager.MemoryInfo()
        (context.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager).getMemoryInfo(memory)
        if (memoryNeeded(lr, listOfNotNull(reference), spec) > memory.availMem) throw JobFailedException(Reason.TOO_LARGE)
    }

    private fun model(spec: ModelSpec, backend: Backend): SrModel = when (backend) {
        Backend.CPU -> LiteRtModel(context.assets, spec, threads(), Backend.CPU)
        Backend.GPU -> FallbackModel { LiteRtModel(context.assets, spec, threads(), it) }
    }

    /** Half of the cores, which as a rule are the fast ones. */
    private fun threads() = (Runtime.getRuntime().availableProcessors() / 2).coerceAtLeast(1)
}
