// A reporter for scripts/test.js: the counts of node's closing lines, as JSON.
/** @param {AsyncIterable<{ type: string, data: { message?: string } }>} events */
export default async function* counts(events) {
  /** @type {Record<string, number>} */
  const found = {}
  for await (const { type, data } of events) {
    const line = type === 'test:diagnostic' ? /^([a-z]+) (\d+)$/.exec(data.message ?? '') : null
    // A test may print such a line as well; the runner's own comes last.
    if (line !== null) found[line[1]] = Number(line[2])
  }
  yield JSON.stringify(found)
}
