package org.c2mtf.jvm

import java.awt.image.BufferedImage
import java.io.File
import javax.imageio.ImageIO
import kotlin.system.exitProcess
import org.c2mtf.core.Photo
import org.c2mtf.core.Pipeline

/** The app's pipeline on a plain JVM: libLiteRt.so MODEL.tflite LR.png SR.png [REF.png ...]. */
fun main(arguments: Array<String>) {
    if (arguments.size < 4) {
        System.err.println("expected: libLiteRt.so MODEL.tflite LR.png SR.png [REF.png ...]")
        exitProcess(2)
    }
    val (library, model, lr, sr) = arguments
    val photo = read(lr)
    val result = BufferedImage(4 * photo.width, 4 * photo.height, BufferedImage.TYPE_INT_RGB)
    LiteRtModel(File(library), File(model), threads = 2).use { upscaling ->
        Pipeline(upscaling).upscale(photo, arguments.drop(4).map(::read), { first, rows ->
            result.setRGB(0, first, result.width, rows.size / result.width, rows, 0, result.width)
        })
    }
    ImageIO.write(result, "png", File(sr))
}

private fun read(path: String): Photo {
    val image = checkNotNull(ImageIO.read(File(path))) { "$path is no photo" }
    return Photo(image.width, image.height, image.getRGB(0, 0, image.width, image.height, null, 0, image.width))
}
