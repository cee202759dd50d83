import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file of the page, as it is sent. */
export interface Asset {
  body: Buffer
  type: string
  etag: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

const PAGE = join(import.meta.dirname, 'page')
/** The charts, as their package has them. */
const OTHERS: readonly (readonly [name: string, specifier: string])[] = [
  ['uplot.js', 'uplot/dist/uPlot.esm.js'],
  ['uplot.css', 'uplot/dist/uPlot.min.css'],
]

/** All that the page is made of, by name. Read once: no name out of a request is ever looked for. */
export async function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  const own = (await readdir(PAGE)).map((name) => [name, join(PAGE, name)] as const)
  const others = OTHERS.map(
    ([name, specifier]) => [name, fileURLToPath(import.meta.resolve(specifier))] as const,
  )
  const files = [...own, ...others].filter(([name]) => extname(name) in TYPES)
  return new Map(
    await Promise.all(files.map(async ([name, file]) => [name, await read(file)] as const)),
  )
}

async function read(file: string): Promise<Asset> {
  const body = await readFile(file)
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return { body, type: TYPES[extname(file)]!, etag: `"${digest}"` }
}
