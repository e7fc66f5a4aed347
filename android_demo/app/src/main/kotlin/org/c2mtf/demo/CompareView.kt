package org.c2mtf.demo

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.Path
import android.graphics.RectF
import android.graphics.Typeface
import android.os.Bundle
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.KeyEvent
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import kotlin.math.abs

/**
 * Two versions of a photo on top of each other, a border between them that the finger moves. Two fingers zoom; when zoomed, a finger
 * away from the border moves the photo; a double tap shows the whole again. Arrow keys and screen readers move the border too.
 */
class CompareView(context: Context, attributes: AttributeSet) : View(context, attributes) {
    private var before: Bitmap? = null
    private var after: Bitmap? = null
    private val density = resources.displayMetrics.density
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)
    private val line = Paint().apply {
        color = Color.WHITE
        strokeWidth = 2 * density
    }
    private val handle = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = Color.WHITE }
    private val arrows = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.BLACK
        style = Paint.Style.STROKE
        strokeWidth = 2 * density
        strokeCap = Paint.Cap.ROUND
        strokeJoin = Paint.Join.ROUND
    }
    private val label = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = context.getColor(R.color.on_scrim)
        textSize = resources.getDimension(R.dimen.label)
        typeface = Typeface.create("sans-serif-medium", Typeface.NORMAL)
    }
    private val labelBack = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.scrim) }
    private val beforeLabel = context.getString(R.string.before)
    private val afterLabel = context.getString(R.string.after)

    /** Share of the width that shows the version before. */
    var share = 0.5f
        private set
    private var zoom = 1f
    private var panX = 0f
    private var panY = 0f
    private var movesBorder = false
    private val place = RectF()
    private val pill = RectF()
    private val path = Path()

    private val scaling = ScaleGestureDetector(
        context,
        object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
            override fun onScale(detector: ScaleGestureDetector): Boolean {
                val next = (zoom * detector.scaleFactor).coerceIn(1f, MOST_ZOOM)
                val change = next / zoom
                panX = (panX - (detector.focusX - width / 2f)) * change + (detector.focusX - width / 2f)
                panY = (panY - (detector.focusY - height / 2f)) * change + (detector.focusY - height / 2f)
                zoom = next
                movesBorder = false
                invalidate()
                return true
            }
        },
    )

    private val gestures = GestureDetector(
        context,
        object : GestureDetector.SimpleOnGestureListener() {
            override fun onDown(event: MotionEvent): Boolean {
                movesBorder = zoom == 1f || abs(event.x - share * width) < GRASP * density
                return true
            }

            override fun onScroll(down: MotionEvent?, event: MotionEvent, distanceX: Float, distanceY: Float): Boolean {
                if (movesBorder) {
                    moveTo(event.x / width)
                } else {
                    panX -= distanceX
                    panY -= distanceY
                    invalidate()
                }
                return true
            }

            override fun onDoubleTap(event: MotionEvent): Boolean {
                zoom = 1f
                panX = 0f
                panY = 0f
                invalidate()
                return true
            }
        },
    )

    /** Shows two versions; both fill the same place, whatever their sizes. */
    fun show(before: Bitmap, after: Bitmap) {
        this.before = before
        this.after = after
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val first = before ?: return
        val second = after ?: return
        val fit = minOf(width.toFloat() / second.width, height.toFloat() / second.height) * zoom
        val halfWidth = second.width * fit / 2
        val halfHeight = second.height * fit / 2
        // Never further than to the photo's own edge.
        val roomX = maxOf(0f, halfWidth - width / 2f)
        val roomY = maxOf(0f, halfHeight - height / 2f)
        panX = panX.coerceIn(-roomX, roomX)
        panY = panY.coerceIn(-roomY, roomY)
        val middleX = width / 2f + panX
        val middleY = height / 2f + panY
        place.set(middleX - halfWidth, middleY - halfHeight, middleX + halfWidth, middleY + halfHeight)
        val border = share * width
        canvas.drawBitmap(second, null, place, smooth)
        canvas.save()
        canvas.clipRect(0f, 0f, border, height.toFloat())
        canvas.drawBitmap(first, null, place, smooth)
        canvas.restore()
        // Beside the photo there is nothing to divide.
        val top = maxOf(0f, place.top)
        val bottom = minOf(height.toFloat(), place.bottom)
        canvas.drawLine(border, top, border, bottom, line)
        drawHandle(canvas, border, (top + bottom) / 2)
        val left = maxOf(0f, place.left)
        val right = minOf(width.toFloat(), place.right)
        drawLabel(canvas, beforeLabel, left + LABEL_MARGIN * density, bottom)
        drawLabel(canvas, afterLabel, right - labelWidth(afterLabel) - LABEL_MARGIN * density, bottom)
    }

    /** A disc with an arrow to either side. */
    private fun drawHandle(canvas: Canvas, x: Float, y: Float) {
        canvas.drawCircle(x, y, HANDLE_RADIUS * density, handle)
        path.rewind()
        for (side in listOf(-density, density)) {
            path.moveTo(x + 4 * side, y - 5 * density)
            path.lineTo(x + 9 * side, y)
            path.lineTo(x + 4 * side, y + 5 * density)
        }
        canvas.drawPath(path, arrows)
    }

    private fun labelWidth(text: String) = label.measureText(text) + 2 * LABEL_PADDING * density

    private fun drawLabel(canvas: Canvas, text: String, x: Float, photoBottom: Float) {
        val high = LABEL_HEIGHT * density
        val bottom = photoBottom - LABEL_MARGIN * density
        pill.set(x, bottom - high, x + labelWidth(text), bottom)
        canvas.drawRoundRect(pill, high / 2, high / 2, labelBack)
        canvas.drawText(text, x + LABEL_PADDING * density, pill.centerY() - (label.ascent() + label.descent()) / 2, label)
    }

    @SuppressLint("ClickableViewAccessibility") // dragging has no click; keys and screen readers have their own way
    override fun onTouchEvent(event: MotionEvent): Boolean {
        parent.requestDisallowInterceptTouchEvent(true)
        scaling.onTouchEvent(event)
        if (!scaling.isInProgress) gestures.onTouchEvent(event)
        return true
    }

    override fun onKeyDown(keyCode: Int, event: KeyEvent): Boolean = when (keyCode) {
        KeyEvent.KEYCODE_DPAD_LEFT -> moveTo(share - STEP)
        KeyEvent.KEYCODE_DPAD_RIGHT -> moveTo(share + STEP)
        else -> super.onKeyDown(keyCode, event)
    }

    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.className = "android.widget.SeekBar"
        info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_FORWARD)
        info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_BACKWARD)
        info.rangeInfo = AccessibilityNodeInfo.RangeInfo.obtain(AccessibilityNodeInfo.RangeInfo.RANGE_TYPE_PERCENT, 0f, 100f, 100 * share)
    }

    override fun performAccessibilityAction(action: Int, arguments: Bundle?): Boolean = when (action) {
        AccessibilityNodeInfo.ACTION_SCROLL_FORWARD -> moveTo(share + STEP)
        AccessibilityNodeInfo.ACTION_SCROLL_BACKWARD -> moveTo(share - STEP)
        else -> super.performAccessibilityAction(action, arguments)
    }

    private fun moveTo(next: Float): Boolean {
        share = next.coerceIn(0f, 1f)
        if (isAccessibilityFocused) announceForAccessibility(context.getString(R.string.compare_at, (100 * share).toInt()))
        invalidate()
        return true
    }

    private companion object {
        const val MOST_ZOOM = 16f
        const val GRASP = 32f // distance, in dp, from which a finger takes the border
        const val STEP = 0.05f
        const val HANDLE_RADIUS = 20f // this and what follows in dp
        const val LABEL_MARGIN = 12f
        const val LABEL_PADDING = 10f
        const val LABEL_HEIGHT = 24f
    }
}
