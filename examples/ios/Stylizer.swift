import TensorFlowLite
import UIKit

/// Paints pictures with a file of uint8 pictures in the app's bundle; `weights` has a number for each style.
final class Stylizer {
  private let runner: SignatureRunner
  private let size: Int

  init(path: String, size: Int) throws {
    self.size = size
    runner = try Interpreter(modelPath: path).signatureRunner(with: "stylize")
  }

  func stylize(_ picture: CGImage, weights: [Float32], strength: Float32 = 1) throws -> CGImage? {
    let context = CGContext(
      data: nil, width: size, height: size, bitsPerComponent: 8, bytesPerRow: 4 * size,
      space: CGColorSpaceCreateDeviceRGB(), bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)!
    context.draw(picture, in: CGRect(x: 0, y: 0, width: size, height: size))
    let rgba = context.data!.assumingMemoryBound(to: UInt8.self)
    let bytes = (0..<3 * size * size).map { rgba[$0 / 3 * 4 + $0 % 3] }
    let numbers = { (values: [Float32]) in values.withUnsafeBufferPointer { Data(buffer: $0) } }
    try runner.invoke(with: ["image": Data(bytes), "weights": numbers(weights), "strength": numbers([strength])])
    for (index, byte) in try runner.output(named: "image").data.enumerated() {
      rgba[index / 3 * 4 + index % 3] = byte
    }
    return context.makeImage()
  }
}
