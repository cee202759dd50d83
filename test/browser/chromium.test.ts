// scripts/chromium.js on a machine without a browser, whose apt-get is a script of the test.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { promisify } from 'node:util'

import { projectFolder } from '../support/project-folder.ts'

const SCRIPT = join(projectFolder(), 'scripts', 'chromium.js')
const isRoot = process.getuid?.() === 0

interface Machine {
  folder: string
  find(env?: Record<string, string>): Promise<{ stdout: string; stderr: string }>
}

function bareMachine(t: TestContext, aptGet: string): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'response-cache-chromium-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'apt-get'), `#!/bin/sh\n${aptGet}\n`, { mode: 0o755 })
  const bare = { PATH: folder, HOME: folder, PLAYWRIGHT_BROWSERS_PATH: folder }
  return {
    folder,
    find: (env = {}) =>
      promisify(execFile)(process.execPath, [SCRIPT], { env: { ...bare, ...env } }),
  }
}

const BROWSER = '#!/bin/sh\necho Chromium 156.0.8078.79 built on Debian'

const installs = 'Chromium is installed when there is none, after a look at newer lists of packages'
it(installs, { skip: !isRoot && 'only root may install' }, async (t) => {
  const machine = bareMachine(
    t,
    `here=\${0%/*}
     echo "$3" >> "$here/asked"
     [ "$3" = update ] && exit 0
     [ "$(/bin/grep -c install "$here/asked")" = 1 ] && { echo "E: Unable to locate package" >&2; exit 100; }
     echo '${BROWSER}' > "$here/chromium"; /bin/chmod +x "$here/chromium"`,
  )
  const { stdout, stderr } = await machine.find()
  assert.equal(stdout, `${join(machine.folder, 'chromium')}\n`)
  assert.match(stderr, /^no Chromium here: apt-get install chromium fonts-liberation/)
  const asked = readFileSync(join(machine.folder, 'asked'), 'utf8')
  assert.equal(asked, 'install\nupdate\ninstall\n')
})

it('where none can be installed the run fails, and says what to do', async (t) => {
  const machine = bareMachine(t, 'echo "E: no network" >&2; exit 100')
  await assert.rejects(machine.find(), (error: { stderr: string }) => {
    assert.match(error.stderr, /Install it \(apt-get install chromium/)
    assert.match(error.stderr, /or set RESPONSE_CACHE_TEST_CHROMIUM to its path/)
    assert.match(error.stderr, isRoot ? /apt-get install: E: no network/ : /this is not root/)
    return true
  })
})

it('a browser that is named but does not run is an error, and no other is taken', async (t) => {
  const machine = bareMachine(t, 'exit 1')
  const path = join(machine.folder, 'chromium')
  writeFileSync(path, '#!/bin/sh\necho "Command requires the snap to be installed."\n', {
    mode: 0o755,
  })
  const env = { RESPONSE_CACHE_TEST_CHROMIUM: path }
  await assert.rejects(machine.find(env), /is no Chromium that runs here/)
})
