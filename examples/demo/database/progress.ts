import { SingleBar } from 'cli-progress'

/** How far the loading is. */
export interface Progress {
  start(total: number): void
  add(rows: number): void
  stop(): void
}

const TITLE = 'Loading cities and countries'

/** A bar on a terminal; a few plain lines in a log. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? barOn(stream) : linesOn(stream)
}

function barOn(stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar({
    stream,
    format: `  ${TITLE} {bar} {percentage}% · {value}/{total}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: true,
  })
  return {
    start: (total) => bar.start(total, 0),
    add: (rows) => bar.increment(rows),
    stop: () => bar.stop(),
  }
}

function linesOn(stream: NodeJS.WriteStream): Progress {
  let total = 0
  let done = 0
  return {
    start: (rows) => {
      total = rows
      stream.write(`${TITLE}: ${total} rows\n`)
    },
    add: (rows) => {
      const quarters = Math.floor((done / total) * 4)
      done += rows
      if (Math.floor((done / total) * 4) > quarters) {
        stream.write(`${TITLE}: ${Math.round((done / total) * 100)} %\n`)
      }
    },
    stop: () => {},
  }
}
