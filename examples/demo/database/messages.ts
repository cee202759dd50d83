// What the database process tells the server over their IPC channel. The server tells it nothing:
// closing the channel is the order to end, so that a server that was killed gives it too.

export type DatabaseMessage =
  | { type: 'ready'; port: number; version: string }
  /** Another demo has the folder open. Two PostgreSQLs in one folder would destroy it. */
  | { type: 'locked' }
  | { type: 'failed'; reason: string }
