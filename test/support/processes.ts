// Processes of a test: a module in a process of its own that answers questions of the test and may
// ask questions itself. It dies with the test, however that one ends.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { guardedFolder } from './redis-guard.ts'

/** What either side answers, by the name of the question. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Answers = Record<string, (value: any) => unknown>

interface Question {
  id: number
  ask: string
  value: unknown
}
interface Reply {
  id: number
  value?: unknown
  error?: string
}
type Message = Question | Reply

/** One end of the line between two processes. */
class Line {
  readonly #send: (message: Message) => void
  readonly #answers: Answers
  readonly #open = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void }
  >()
  #last = 0

  constructor(send: (message: Message) => void, answers: Answers) {
    this.#send = send
    this.#answers = answers
  }

  ask<T>(name: string, value?: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last
      this.#open.set(id, { resolve, reject })
      this.#send({ id, ask: name, value })
    })
  }

  receive(message: Message): void {
    if ('ask' in message) {
      void this.#answer(message)
      return
    }
    const question = this.#open.get(message.id)
    this.#open.delete(message.id)
    if (message.error === undefined) question?.resolve(message.value as never)
    else question?.reject(new Error(message.error))
  }

  cut(reason: string): void {
    for (const { reject } of this.#open.values()) reject(new Error(reason))
    this.#open.clear()
  }

  async #answer({ id, ask, value }: Question): Promise<void> {
    try {
      this.#send({ id, value: await this.#answers[ask]!(value) })
    } catch (error) {
      this.#send({ id, error: String(error) })
    }
  }
}

export class TestProcess {
  readonly process: ChildProcess
  readonly #line: Line
  output = ''

  /** Runs a compiled module that calls `serveTest`, and resolves when that has answered. */
  static async start(module: string, value: unknown, answers: Answers = {}): Promise<TestProcess> {
    const child = new TestProcess(module, answers)
    await child.ask('start', value)
    return child
  }

  private constructor(module: string, answers: Answers) {
    // The variable would make a process that comes across node:test report in its binary form.
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env
    this.process = fork(module, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    const folder = mkdtempSync(join(guardedFolder(), 'process-'))
    writeFileSync(join(folder, 'pid'), String(this.process.pid))
    this.#line = new Line((message) => {
      // A process that was just killed is found out by its end, which cuts the line.
      if (this.process.connected) this.process.send(message, () => {})
    }, answers)
    this.process.on('message', (message) => this.#line.receive(message as Message))
    this.process.on('exit', (code, signal) => {
      this.#line.cut(`the process ended with ${code ?? signal}; it printed:\n${this.output}`)
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-10_000)
      })
    }
  }

  ask<T>(name: string, value?: unknown): Promise<T> {
    return this.#line.ask<T>(name, value)
  }

  /** SIGSTOP: the event loop stands still, sockets stay open. */
  freeze(): void {
    this.process.kill('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.process.kill('SIGCONT')
  }

  /** Resolves with the exit code once the process has ended by itself, or was ended. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    const { exitCode, signalCode } = this.process
    if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode
    const [code, signal] = (await once(this.process, 'exit')) as [
      number | null,
      NodeJS.Signals | null,
    ]
    return code ?? signal
  }

  async stop(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.ended()
  }
}

/** In the process: answers the test until that is gone. `ask` asks the test. */
export function serveTest(answers: Answers): { ask: Line['ask']; hangUp: () => void } {
  const line = new Line((message) => process.send?.(message), answers)
  process.on('message', (message) => line.receive(message as Message))
  const end = (): never => process.exit(1)
  process.on('disconnect', end)
  return {
    ask: line.ask.bind(line) as Line['ask'],
    /** Lets go of the line, so that the process ends when nothing else keeps it. */
    hangUp: () => {
      process.off('disconnect', end)
      process.disconnect()
    },
  }
}
