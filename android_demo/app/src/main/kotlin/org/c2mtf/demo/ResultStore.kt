package org.c2mtf.demo

import android.content.ContentResolver
import android.content.ContentValues
import android.graphics.Bitmap
import android.net.Uri
import android.os.Build
import android.provider.MediaStore
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Reason

/** Results in the app's own folder, from where they are saved into the phone's pictures. */
class ResultStore(private val folder: File, private val resolver: ContentResolver) {
    /** Writes a result, complete or not at all, and forgets older ones; returns its path. */
    fun keep(bitmap: Bitmap): String {
        val result = File(folder, "result-${System.currentTimeMillis()}.png")
        val temporary = File(folder, "${result.name}.part")
        try {
            val written = FileOutputStream(temporary).use { bitmap.compress(Bitmap.CompressFormat.PNG, QUALITY, it) }
            if (!written || !temporary.renameTo(result)) throw JobFailedException(Reason.NOT_SAVED)
        } catch (error: IOException) {
            throw JobFailedException(Reason.NOT_SAVED, error)
        } finally {
            temporary.delete()
        }
        folder.listFiles { file -> file.name.startsWith("result-") && file != result }?.forEach { it.delete() }
        return result.path
    }

    /** Copies a result into the phone's pictures, which needs no permission from Android 10 on; false if that failed. */
    fun saveToPictures(result: String): Boolean {
        val values = ContentValues()
        values.put(MediaStore.MediaColumns.DISPLAY_NAME, File(result).name.replace("result-", "c2m-"))
        values.put(MediaStore.MediaColumns.MIME_TYPE, "image/png")
        values.put(RELATIVE_PATH, "Pictures/C2-Matching")
        values.put(IS_PENDING, 1)
        val target = resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values) ?: return false
        if (!copy(result, target)) {
            resolver.delete(target, null, null)
            return false
        }
        val done = ContentValues()
        done.put(IS_PENDING, 0)
        return resolver.update(target, done, null, null) == 1
    }

    /** Copies a result to an address that the user chose; false if that failed. */
    fun copy(result: String, target: Uri): Boolean = try {
        val output = resolver.openOutputStream(target)
        output?.use { sink -> File(result).inputStream().use { it.copyTo(sink) } }
        output != null
    } catch (_: IOException) {
        false
    } catch (_: SecurityException) {
        false
    }

    companion object {
        private const val QUALITY = 100 // PNG has no other

        // Names that MediaStore has since Android 10.
        private const val RELATIVE_PATH = "relative_path"
        private const val IS_PENDING = "is_pending"

        /** Whether [saveToPictures] works here; else the user must choose where. */
        val savesToPictures: Boolean get() = Build.VERSION.SDK_INT >= 29
    }
}
