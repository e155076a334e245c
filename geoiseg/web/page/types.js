/**
 * What the modules of the page hand to each other.
 *
 * @typedef {{rows: number, cols: number, data: Uint8Array}} Bits `(y, x)`, 1 = true
 * @typedef {{rows: number, cols: number, data: Float32Array}} Plane `(y, x)`
 * @typedef {{rows: number, cols: number, data: Uint8Array}} Rgb `(y, x, 3)`
 * @typedef {{row: number, col: number, height: number, width: number}} Window
 * @typedef {[number, number, number, number]} Box `x0, y0, x1, y1`
 * @typedef {{x: number, y: number, positive: boolean}} Point
 * @typedef {{points: Point[], box: Box | null}} Prompts in the pixel frame of a chip or window
 * @typedef {{level: number, window: Window}} Frame a window of a level of the pyramid
 * @typedef {[number, number, number, number, number, number]} Affine `a, b, c, d, e, f`
 * @typedef {{type: "Polygon" | "MultiPolygon", coordinates: any}} Geometry as GeoJSON has it
 */

export {};
