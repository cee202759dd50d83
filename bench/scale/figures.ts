// How figures are taken and printed.

export type Row = Record<string, string | number>

/** Of values that are sorted here. */
export function quantile(values: Float32Array, share: number): number {
  const sorted = values.toSorted()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}

/** Three digits are more than a busy machine can promise. */
export function rounded(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en')
}

/** Prints a table as Markdown has it. */
export function print(title: string, rows: readonly Row[]): void {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))]
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const [head = '', ...body] = lines.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`,
  )
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  console.log(['', `## ${title}`, '', head, rule, ...body].join('\n'))
}
