// Nothing outlives a test process: not after SIGKILL, a crash or a time-out either. A shell holds the
// reading end of a pipe from this process; when the pipe closes, for whatever reason, it ends the
// servers whose process ids lie in the folder, and removes the folder.
import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SCRIPT = `
cat >/dev/null
for file in "$1"/*/pid; do
  [ -f "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null
done
rm -rf -- "$1"
`

let folder: string | undefined

/** A folder for this process; what keeps its process id in `<folder>/<any>/pid` dies with us. */
export function guardedFolder(): string {
  folder ??= guard(mkdtempSync(join(tmpdir(), 'response-cache-')))
  return folder
}

function guard(path: string): string {
  // Detached: a Ctrl-C is for the tests, the shell must live until they are gone.
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'redis-guard', path], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.unref()
  // The pipe must stay open but must not keep the process alive; a pipe's type does not show unref().
  Object(shell.stdin).unref()
  return path
}
