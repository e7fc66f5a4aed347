package org.c2mtf.demo

import android.app.ActivityManager
import android.content.Context
import android.graphics.Bitmap
import java.io.IOException
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.LEAST_LR
import org.c2mtf.core.LEAST_REF
import org.c2mtf.core.ModelSpec
import org.c2mtf.core.Pipeline
import org.c2mtf.core.Reason
import org.c2mtf.core.SCALE
import org.c2mtf.core.Size
import org.c2mtf.core.Work
import org.c2mtf.core.memoryNeeded

/** Jobs on the phone: photos read, memory checked, the pipeline run, the result kept. */
class PhoneWork(private val context: Context) : Work {
    private val photos = PhotoReader(context.contentResolver)
    val results = ResultStore(context.filesDir, context.contentResolver)

    override fun upscale(lr: String, reference: String, progress: (Int, Int) -> Unit, cancelled: () -> Boolean): String {
        val spec = spec()
        check(photos.size(lr), photos.size(reference), spec)
        val photo = photos.read(lr)
        val references = listOf(photos.read(reference))
        val width = SCALE * photo.width
        val result = Bitmap.createBitmap(width, SCALE * photo.height, Bitmap.Config.ARGB_8888)
        try {
            LiteRtModel(context.assets, spec, threads()).use { model ->
                val sink = { first: Int, rows: IntArray -> result.setPixels(rows, 0, width, 0, first, width, rows.size / width) }
                Pipeline(model).upscale(photo, references, sink, progress, cancelled)
            }
            return results.keep(result)
        } finally {
            result.recycle()
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

    private fun check(lr: Size, reference: Size, spec: ModelSpec) {
        val tooSmall = minOf(lr.height, lr.width) < LEAST_LR || minOf(reference.height, reference.width) < LEAST_REF
        if (tooSmall) throw JobFailedException(Reason.TOO_SMALL)
        val memory = ActivityManager.MemoryInfo()
        (context.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager).getMemoryInfo(memory)
        if (memoryNeeded(lr, listOf(reference), spec) > memory.availMem) throw JobFailedException(Reason.TOO_LARGE)
    }

    /** Half of the cores, which as a rule are the fast ones. */
    private fun threads() = (Runtime.getRuntime().availableProcessors() / 2).coerceAtLeast(1)
}
