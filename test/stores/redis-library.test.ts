import { expect, it, vi } from 'vitest'
import { openRedis } from '../../src/stores/redis-client.ts'
import { redisFault } from '../../src/stores/redis-error.ts'
import { errorFrom } from '../support/error-from.ts'

vi.mock('ioredis', () => {
  throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
})

it('Redis without ioredis: the start says what to install', async () => {
  const error = await errorFrom(openRedis({ url: 'redis://127.0.0.1' }))
  expect(error.code).toBe('ERR_CONFIG_INVALID')
  expect(error.issues).toEqual([
    { path: 'url', message: expect.stringMatching(/^needs the package ioredis, .*: npm install ioredis$/) },
  ])
})

it.each([
  [
    Object.assign(new Error('WRONGPASS pw-1'), { name: 'ReplyError', command: { args: ['pw-1'] } }),
    'refused',
  ],
  [Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' }), 'full'],
  [Object.assign(new Error('pw-1'), { name: 'ReplyError' }), 'refused'],
  [Object.assign(new Error('connect pw-1'), { code: 'ECONNREFUSED' }), 'away'],
  [new Error('Connection is closed. pw-1'), 'away'],
  [Object.assign(new Error('all failed'), { lastNodeError: new Error('pw-1') }), 'away'],
  ['pw-1', 'away'],
])('an error shows nothing of what was sent: %#', (error, code) => {
  const fault = redisFault(error)
  expect(fault).toMatchObject({ name: 'StoreError', code })
  expect(fault.message).not.toContain('pw-1')
  expect(fault.cause).toBeUndefined()
})
