// Preloaded into every test file's process: a test, or a file, that does not end in time ends here, with
// its name. node --test has a limit of its own, but on Node 20 and 22 it is one for the whole file that
// does not say which test hangs, and from 24 on it does not end a file that holds a timer or a socket.
const testLimitMs = Number(process.env.RESPONSE_CACHE_TEST_LIMIT_MS)
const fileLimitMs = Number(process.env.RESPONSE_CACHE_TEST_FILE_LIMIT_MS)
// Held here because a test may mock the global ones.
const { setTimeout, clearTimeout } = globalThis

/**
 * @param {string} what
 * @param {number} limitMs
 */
function limit(what, limitMs) {
  const end = () => {
    const open = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap')
    console.error(`${what} is not over after ${limitMs} ms; still open: ${open.join(', ')}`)
    process.exit(1)
  }
  return setTimeout(end, limitMs).unref()
}

// Only in a test file's process: not in the runner's, nor in the servers that tests start.
if (process.env.NODE_TEST_CONTEXT !== undefined && fileLimitMs > 0) {
  const { afterEach, beforeEach } = await import('node:test')
  const file = process.argv[1] ?? ''
  /** @type {Map<string, NodeJS.Timeout>} */
  const running = new Map()
  // Hooks at the root are run around every test of the file, nested ones too.
  beforeEach((context) => {
    const name = nameOf(context)
    running.set(name, limit(`${name} (${file})`, testLimitMs))
  })
  afterEach((context) => clearTimeout(running.get(nameOf(context))))
  limit(file, fileLimitMs)
}

/** @param {object} context */
function nameOf(context) {
  return String(Object(context).fullName ?? Object(context).name)
}
