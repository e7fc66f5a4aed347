package org.c2mtf.demo

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException
import java.io.InputStream
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Photo
import org.c2mtf.core.Reason
import org.c2mtf.core.Size

/**
 * Reads the photos that the user chose, the right way up. Whatever cannot be read is a [JobFailedException].
 */
class PhotoReader(private val resolver: ContentResolver) {
    /** Size of a photo as it is seen, from its header. */
    fun size(address: String): Size {
        val bounds = bounds(address)
        val turned = orientation(address) in SIDEWAYS
        return if (turned) Size(bounds.outWidth, bounds.outHeight) else Size(bounds.outHeight, bounds.outWidth)
    }

    /** All pixels. */
    fun read(address: String): Photo {
        val bitmap = upright(address, 1)
        val pixels = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val photo = Photo(bitmap.width, bitmap.height, pixels)
        bitmap.recycle()
        return photo
    }

    /** A version to show: at most about twice [side] pixels per side. */
    fun preview(address: String, side: Int): Bitmap {
        val bounds = bounds(address)
        var sample = 1
        while (maxOf(bounds.outWidth, bounds.outHeight) / (2 * sample) >= side) sample *= 2
        return upright(address, sample)
    }

    private fun bounds(address: String): BitmapFactory.Options {
        val options = BitmapFactory.Options()
        options.inJustDecodeBounds = true
        open(address) { BitmapFactory.decodeStream(it, null, options) }
        if (options.outWidth <= 0 || options.outHeight <= 0) throw JobFailedException(Reason.NO_PHOTO)
        return options
    }

    private fun upright(address: String, sample: Int): Bitmap {
        val options = BitmapFactory.Options()
        options.inSampleSize = sample
        options.inPreferredConfig = Bitmap.Config.ARGB_8888
        options.inPremultiplied = true
        val bitmap = open(address) { BitmapFactory.decodeStream(it, null, options) } ?: throw JobFailedException(Reason.NO_PHOTO)
        val matrix = matrix(orientation(address)) ?: return bitmap
        val turned = Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, matrix, false)
        if (turned !== bitmap) bitmap.recycle()
        return turned
    }

    private fun orientation(address: String): Int = try {
        open(address) { ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL) }
    } catch (_: JobFailedException) {
        ExifInterface.ORIENTATION_NORMAL // a format without EXIF
    }

    private fun <T> open(address: String, read: (InputStream) -> T): T = try {
        val stream = resolver.openInputStream(Uri.parse(address)) ?: throw JobFailedException(Reason.NO_PHOTO)
        stream.use(read)
    } catch (error: IOException) {
        throw JobFailedException(Reason.NO_PHOTO, error)
    } catch (error: SecurityException) {
        throw JobFailedException(Reason.NO_PHOTO, error)
    }

    private fun matrix(orientation: Int): Matrix? {
        val matrix = Matrix()
        when (orientation) {
            ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> matrix.setScale(-1f, 1f)
            ExifInterface.ORIENTATION_ROTATE_180 -> matrix.setRotate(180f)
            ExifInterface.ORIENTATION_FLIP_VERTICAL -> matrix.setScale(1f, -1f)
            ExifInterface.ORIENTATION_TRANSPOSE -> {
                matrix.setRotate(90f)
                matrix.postScale(-1f, 1f)
            }
            ExifInterface.ORIENTATION_ROTATE_90 -> matrix.setRotate(90f)
            ExifInterface.ORIENTATION_TRANSVERSE -> {
                matrix.setRotate(-90f)
                matrix.postScale(-1f, 1f)
            }
            ExifInterface.ORIENTATION_ROTATE_270 -> matrix.setRotate(-90f)
            else -> return null
        }
        return matrix
    }

    private companion object {
        val SIDEWAYS = setOf(
            ExifInterface.ORIENTATION_TRANSPOSE,
            ExifInterface.ORIENTATION_ROTATE_90,
            ExifInterface.ORIENTATION_TRANSVERSE,
            ExifInterface.ORIENTATION_ROTATE_270,
        )
    }
}
