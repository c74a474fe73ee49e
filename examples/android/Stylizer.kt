import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

/** Paints bitmaps with a file of uint8 pictures in the app's assets; `weights` has a number for each style. */
class Stylizer(context: Context, file: String, private val size: Int) : AutoCloseable {
  private val model = CompiledModel.create(context.assets, file, CompiledModel.Options(Accelerator.CPU))
  private val image = model.createInputBuffer("image", "stylize")
  private val weights = model.createInputBuffer("weights", "stylize")
  private val strength = model.createInputBuffer("strength", "stylize")
  private val painted = model.createOutputBuffer("image", "stylize")

  fun stylize(picture: Bitmap, styleWeights: FloatArray, styleStrength: Float = 1f): Bitmap {
    val pixels = IntArray(size * size)
    Bitmap.createScaledBitmap(picture, size, size, true).getPixels(pixels, 0, size, 0, 0, size, size)
    // The bytes are copied as they are, so that those of int8 do for uint8.
    image.writeInt8(ByteArray(3 * pixels.size) { (pixels[it / 3] shr (16 - 8 * (it % 3))).toByte() })
    weights.writeFloat(styleWeights)
    strength.writeFloat(floatArrayOf(styleStrength))
    val inputs = mapOf("image" to image, "weights" to weights, "strength" to strength)
    model.run(inputs, mapOf("image" to painted), "stylize")
    val bytes = painted.readInt8().map { it.toInt() and 255 }
    for (i in pixels.indices) pixels[i] = Color.rgb(bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2])
    return Bitmap.createBitmap(pixels, size, size, Bitmap.Config.ARGB_8888)
  }

  override fun close() = model.close()
}
