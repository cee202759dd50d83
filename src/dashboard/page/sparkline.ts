/** The path of a line through values, from the bottom 0 up to the largest of them. */
export function linePath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return ''
  const top = Math.max(...values)
  const step = width / (values.length - 1)
  const points = values.map((value, index) => {
    const y = top === 0 ? height : height - (value / top) * height
    return `${round(index * step)} ${round(y)}`
  })
  return `M${points.join('L')}`
}

/** The same, closed at the bottom. */
export function areaPath(values: readonly number[], width: number, height: number): string {
  const line = linePath(values, width, height)
  return line === '' ? '' : `${line}L${round(width)} ${round(height)}L0 ${round(height)}Z`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
