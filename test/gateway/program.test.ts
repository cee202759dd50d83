import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'

import { Client, eventually } from '../support/app.ts'
import { RawUpstream, response } from '../support/raw-upstream.ts'

const GATEWAY = join(dirname(dirname(import.meta.dirname)), 'examples', 'gateway.js')

interface Program {
  child: ChildProcess
  said: () => string
}

function run(args: readonly string[], env: Record<string, string> = {}): Program {
  const { UPSTREAM: _upstream, GATEWAY_OPTIONS: _options, ...inherited } = process.env
  const child = spawn(process.execPath, [GATEWAY, ...args], {
    env: { ...inherited, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  return { child, said: () => said }
}

async function clientOf({ said }: Program): Promise<Client> {
  await eventually(() => /http:\/\/127\.0\.0\.1:\d+ \(/.test(said()), 'the gateway does not start')
  return new Client(Number(/:(\d+) \(/.exec(said())![1]))
}

describe('The gateway as a program', () => {
  const WAYS: [string, (url: string) => Program, RegExp][] = [
    ['an argument', (url) => run([url]), /\(default options\)/],
    ['UPSTREAM', (url) => run([], { UPSTREAM: url }), /\(default options\)/],
    ['an argument, all options', (url) => run([url, '--all-options']), /\(all options\)/],
    ['GATEWAY_OPTIONS', (url) => run([url], { GATEWAY_OPTIONS: 'full' }), /\(all options\)/],
  ]
  for (const [way, start, options] of WAYS) {
    it(`stands before the upstream of ${way}, says where, and ends when told`, async (t) => {
      const upstream = await RawUpstream.start(t, response('200 OK', [], 'from the upstream'))
      const program = start(upstream.url)
      t.after(() => program.child.kill('SIGKILL'))
      const client = await clientOf(program)
      assert.equal((await client.get('/')).text, 'from the upstream')
      assert.match(program.said(), options)
      const ended = once(program.child, 'exit')
      program.child.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null])
    })
  }

  it('says how to use it when it is told no upstream', async () => {
    const program = run([])
    assert.deepEqual(await once(program.child, 'close'), [1, null])
    assert.match(program.said(), /^Usage: UPSTREAM=/)
  })
})
