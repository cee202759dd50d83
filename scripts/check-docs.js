// What the documents say about the code, as far as a script can tell: the README's first snippet is the
// compiled quickstart, links lead to files and headings that exist, tests that are named with their titles are there,
// CONTRIBUTING's map names every file of src.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
/** @type {string[]} */
const problems = []

/** @param {string} path */
function read(path) {
  const file = join(root, path)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  problems.push(`${path} does not exist`)
  return ''
}

const snippet = /```ts\n([\s\S]*?)```/.exec(read('README.md'))
if (snippet?.[1]?.trim() !== read('examples/quickstart.ts').trim()) {
  problems.push('README.md: the first ts snippet is not examples/quickstart.ts')
}

const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
if (existsSync(join(root, 'docs'))) {
  const names = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  documents.push(...names.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)))
}
for (const document of documents) {
  for (const [, target, anchor] of read(document).matchAll(/\]\(([^)\s#]*)(?:#([^)]*))?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue // a URL
    const file = target === '' ? document : join(dirname(document), target)
    if (!existsSync(join(root, file))) problems.push(`${document}: nothing is at ${target}`)
    else if (anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).has(anchor)) {
      problems.push(`${document}: no heading in ${file} is #${anchor}`)
    }
  }
}

/**
 * As GitHub makes them of headings; the second of the same name ends with -1.
 * @param {string} file
 */
function anchorsOf(file) {
  /** @type {Set<string>} */
  const anchors = new Set()
  for (const [, heading] of read(file).matchAll(/^#+ (.+)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = text.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
    anchors.add(anchors.has(anchor) ? `${anchor}-1` : anchor)
  }
  return anchors
}

// [file](../test/…): "title"; "another"
for (const document of documents) {
  const named = /\]\(([^)]+\.test\.ts)\): ((?:"[^"]+"(?:; )?)+)/g
  for (const [, target, titles] of read(document).matchAll(named)) {
    const source = read(join(dirname(document), target))
    for (const [, title] of titles.matchAll(/"([^"]+)"/g)) {
      if (!hasTest(source, title)) problems.push(`${document}: no test "${title}" in ${target}`)
    }
  }
}

/**
 * Where a title is put together, its parts must stand somewhere in the file.
 * @param {string} source
 * @param {string} title
 */
function hasTest(source, title) {
  const calls = source.matchAll(/\b(?:it|test)\(\s*(?:'((?:[^'\\]|\\.)+)'|`([^`]+)`)/g)
  return [...calls].some(([, plain, template]) => {
    if (template === undefined) return plain?.replaceAll("\\'", "'") === title
    const texts = template.split(/\$\{[^}]*\}/).map(escape)
    const parts = new RegExp(`^${texts.join('(.*)')}$`).exec(title)?.slice(1)
    return parts?.every((part) => source.includes(part)) ?? false
  })
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')
}

const map = read('CONTRIBUTING.md')
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
for (const source of sources.filter((name) => name.endsWith('.ts'))) {
  const named = new RegExp(`(?<![\\w-])${basename(source).replace('.', '\\.')}`)
  if (!named.test(map)) problems.push(`CONTRIBUTING.md: the map of src lacks src/${source}`)
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
