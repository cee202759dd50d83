import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { nameOf } from '../../examples/demo/redis.ts'
import { readSettings } from '../../examples/demo/settings.ts'

describe('Where the demo finds Redis', () => {
  const read = (env: Record<string, string>): ReturnType<typeof readSettings>['redis'] =>
    readSettings(env).redis

  it('is nowhere, one server, a master that sentinels know, or a Cluster', () => {
    // docker-compose passes a variable that is not set as an empty string.
    assert.equal(read({ REDIS_URL: '', REDIS_CLUSTER: ' ' }), undefined)
    assert.deepEqual(read({ REDIS_URL: 'redis://a:1' }), { url: 'redis://a:1' })
    const password = 'secret'
    const sentinels = { REDIS_SENTINELS: 'a:1, b:2', REDIS_SENTINEL_NAME: 'cache' }
    assert.deepEqual(read({ ...sentinels, REDIS_PASSWORD: password }), {
      sentinels: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      ...{ name: 'cache', password },
    })
    assert.deepEqual(read({ REDIS_CLUSTER: '[::1]:7000' }), {
      ...{ cluster: [{ host: '::1', port: 7000 }], password: undefined },
    })
  })

  it('is shown without a password', () => {
    const shown = (env: Record<string, string>): string => nameOf(read(env)!)
    const REDIS_PASSWORD = 'secret'
    assert.equal(shown({ REDIS_URL: 'redis://:secret@a:1' }), 'redis://:***@a:1')
    assert.equal(shown({ REDIS_CLUSTER: 'a:1,b:2', REDIS_PASSWORD }), 'Cluster at a:1, b:2')
    const sentinels = { REDIS_SENTINELS: 'a:1', REDIS_SENTINEL_NAME: 'cache', REDIS_PASSWORD }
    assert.equal(shown(sentinels), "'cache' of a:1")
  })

  const WRONG: [env: Record<string, string>, complaint: RegExp][] = [
    [
      { REDIS_URL: 'redis://a:1', REDIS_CLUSTER: 'a:1' },
      /^REDIS_URL and REDIS_CLUSTER are set; .*: set one of them$/,
    ],
    [{ REDIS_SENTINELS: 'a:1' }, /^REDIS_SENTINEL_NAME is not set; give the name/],
    [{ REDIS_SENTINEL_NAME: 'cache' }, /^REDIS_SENTINEL_NAME is set; set REDIS_SENTINELS too/],
    [
      { REDIS_SENTINELS: 'a', REDIS_SENTINEL_NAME: 'cache' },
      /^REDIS_SENTINELS is 'a'; give host:port, several with commas/,
    ],
    [{ REDIS_CLUSTER: 'a:1,,b:2' }, /^REDIS_CLUSTER is 'a:1,,b:2'; give host:port/],
    [{ REDIS_CLUSTER: 'a:70000' }, /^REDIS_CLUSTER is 'a:70000'; give host:port/],
    [{ REDIS_CLUSTER: 'redis://a:1' }, /^REDIS_CLUSTER is 'redis:\/\/a:1'; give host:port/],
  ]
  for (const [env, complaint] of WRONG) {
    it(`is not taken from ${JSON.stringify(env)}, and the message says why`, () => {
      assert.throws(() => readSettings(env), { message: complaint })
    })
  }
})

describe('The password of the dashboard', () => {
  it('is left out, or long enough', () => {
    const password = (env: Record<string, string>): string | undefined =>
      readSettings(env).dashboardPassword
    assert.equal(password({ DASHBOARD_PASSWORD: '' }), undefined)
    assert.equal(password({ DASHBOARD_PASSWORD: 'eight888' }), 'eight888')
    assert.throws(() => password({ DASHBOARD_PASSWORD: 'short' }), /5 characters; give at least 8/)
  })
})

describe('The secret of the sessions', () => {
  it('is left out, or long enough', () => {
    const secret = 'x'.repeat(32)
    assert.equal(readSettings({}).sessionSecret, undefined)
    assert.equal(readSettings({ SESSION_SECRET: secret }).sessionSecret, secret)
    assert.throws(() => readSettings({ SESSION_SECRET: 'short' }), /5 characters; give at least 32/)
  })
})
