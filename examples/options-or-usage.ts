/** What `read` makes of the command line; or its error and how it is meant, and the process fails. */
export function optionsOrUsage<Options>(read: () => Options, usage: string): Options | undefined {
  try {
    return read()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`)
    process.exitCode = 1
    return undefined
  }
}
