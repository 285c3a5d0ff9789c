import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import type { Account } from '../../src/digest/credential-store.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import {
  createHttpPasswords,
  type HttpPasswordOptions,
  type HttpPasswords,
} from '../../src/stores/http-password.ts'
import { credentialContract, INJECTIONS, STORED } from '../support/contracts/credentials.ts'
import { errorOf } from '../keyring/error-of.ts'
import { serve, type Asked, type HttpService } from './http-server.ts'

const PATH = '/pw?user={username}&realm={realm}&hash={algorithm}'

function storeOf(options: HttpPasswordOptions): HttpPasswords {
  const store = createHttpPasswords(options)
  onTestFinished(() => store.close())
  return store
}

const find = async (
  store: HttpPasswords,
  username: string,
  algorithm: HashAlgorithm = 'SHA-256',
): Promise<Account | undefined> => store.find({ username, realm: 'example.org', algorithm })

/** A service that knows passwords by user name. */
const serveWords = (words: Readonly<Record<string, string>>): Promise<HttpService> =>
  serve(({ path }, response) => {
    const name = new URL(path, 'http://x').searchParams.get('user') ?? ''
    const word = Object.hasOwn(words, name) ? words[name] : undefined
    response.statusCode = word === undefined ? 404 : 200
    response.end(word)
  })

credentialContract(async () => {
  const server = createServer((request, response) => {
    const params = new URL(request.url ?? '', 'http://x').searchParams
    const [user, realm] = [params.get('user'), params.get('realm')]
    const account = STORED.find(
      ({ username, realm: own }) => realm === own && [username, `${username}@${own}`].includes(user ?? ''),
    )
    response.statusCode = account === undefined ? 404 : 200
    response.end(account?.password)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const store = createHttpPasswords({ url: `http://127.0.0.1:${port}${PATH}` })
  const close = async (): Promise<void> => {
    store.close()
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return { store, close }
}, 'passwords')

describe('passwords over HTTP', () => {
  it('are hashed in the algorithm that is asked for, over the name that is asked for', async () => {
    const { url } = await serveWords({
      alice: 'correct horse\nrest',
      'alice@example.org': 'correct horse\r\n',
    })
    const store = storeOf({ url: url + PATH })
    for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256'] as const)
      for (const name of ['alice', 'alice@example.org'])
        expect((await find(store, name, algorithm))?.ha1?.export()).toEqual(
          computeHa1(algorithm, name, 'example.org', 'correct horse'),
        )
    expect(await find(store, 'alice@example.org')).toMatchObject({ username: 'alice', domain: 'example.org' })
    expect(await find(store, 'alice')).toMatchObject({ username: 'alice', status: 'active' })
  })

  it('may be beyond ASCII', async () => {
    const store = storeOf({ url: (await serveWords({ 'Jäsøn Doe': 'pässwörd €' })).url + PATH })
    expect((await find(store, 'Jäsøn Doe'))?.ha1?.export()).toEqual(
      computeHa1('SHA-256', 'Jäsøn Doe', 'example.org', 'pässwörd €'),
    )
  })

  it('may be HA1, in either case; one of another hash does not fit', async () => {
    const ha1 = computeHa1('SHA-256', 'alice', 'example.org', 'x')
    const store = storeOf({
      url: (await serveWords({ alice: ha1.toString('hex').toUpperCase() })).url + PATH,
      gives: 'ha1',
    })
    expect((await find(store, 'alice'))?.ha1?.export()).toEqual(ha1)
    const other = await find(store, 'alice', 'MD5')
    expect(other).toMatchObject({ username: 'alice', ha1: undefined })
  })

  it.each([404, 403])('a %i is an unknown user', async (status) => {
    const { url } = await serve((_, response) => {
      response.statusCode = status
      response.end('secret')
    })
    expect(await find(storeOf({ url: url + PATH }), 'alice')).toBeUndefined()
  })

  it.each([
    ['201', 201, 'x'],
    ['204', 204, ''],
    ['302', 302, 'x'],
    ['401', 401, 'x'],
    ['500', 500, 'x'],
    ['an empty line', 200, ''],
    ['an empty first line', 200, '\nx'],
    ['what is no UTF-8', 200, Buffer.from([0xff, 0xfe])],
  ])('%s is a failure', async (_, status, body) => {
    const { url } = await serve((_, response) => {
      response.writeHead(status).end(body)
    })
    await expect(find(storeOf({ url: url + PATH }), 'alice')).rejects.toThrow(/service|answer/)
  })

  it('an HA1 that is none is a failure', async () => {
    const { url } = await serveWords({ alice: 'hunter2' })
    const store = storeOf({ url: url + PATH, gives: 'ha1' })
    await expect(find(store, 'alice')).rejects.toThrow('the answer cannot be read')
  })

  it('a service that is away is a failure, whose error holds neither URL nor name', async () => {
    const service = await serveWords({})
    await service.stop()
    const error = await find(storeOf({ url: `${service.url}/token-7${PATH}` }), 'alice').catch(String)
    expect(error).toMatch(/^HttpError: the service cannot be reached \(E/)
    expect(error).not.toMatch(/token-7|alice/)
  })

  it('are asked for with Basic authentication', async () => {
    const service = await serveWords({ alice: 'x' })
    await find(storeOf({ url: service.url + PATH, username: 'xkeys', password: 'pä:ss' }), 'alice')
    const basic = `Basic ${Buffer.from('xkeys:pä:ss', 'utf8').toString('base64')}`
    expect(service.asked[0]?.headers.authorization).toBe(basic)
  })
})

const places: readonly (readonly [string, string, (asked: Asked) => string | undefined])[] = [
  [
    'a query',
    '/pw?user={username}&realm={realm}',
    ({ path }) => {
      const params = new URL(path, 'http://x').searchParams
      return [...params.keys()].join() === 'user,realm' ? params.get('user')! : undefined
    },
  ],
  [
    'a path',
    '/users/{username}/password',
    ({ path }) => {
      const parts = path.split('/')
      return parts.length === 4 && parts[3] === 'password' ? decodeURIComponent(parts[2]!) : undefined
    },
  ],
]
const NAMES = [...INJECTIONS, 'a&realm=evil', 'a#b', 'a?b', 'a/../b', '%2e%2e', 'a\\..\\b', 'a b+c']

describe.each(places)('names in %s', (_, path, nameIn) => {
  it.each(NAMES)('%j comes as it is, and changes nothing else', async (username) => {
    const service = await serve((_, response) => response.end('x'))
    await find(storeOf({ url: service.url + path }), username)
    expect(service.asked.map(nameIn)).toEqual([username])
    expect(service.asked[0]!.headers.host).toBe(`127.0.0.1:${service.port}`)
  })

  it.each(['.', '..'])('%j, which cuts a path short, is nobody', async (username) => {
    const service = await serve((_, response) => response.end('x'))
    expect(await find(storeOf({ url: service.url + path }), username)).toBeUndefined()
    expect(service.asked).toEqual([])
  })
})

describe('the URL', () => {
  it.each([
    ['is none', 'example.org/{username}', 'is no URL'],
    ['is of another scheme', 'file:///etc/{username}', 'must begin with https://'],
    ['holds a password', 'https://a:hunter2@example.org/{username}', 'must not hold a user or password'],
    ['names nobody', 'https://example.org/', 'has no {username}'],
    ['has a place that is not known', 'https://example.org/{username}/{user}', '"{user}" is not known'],
    ['has a place in the host', 'https://{username}.example.org/', 'must not have a place in the host'],
  ])('is refused where it %s', (_, url, message) => {
    const { issues } = errorOf(() => createHttpPasswords({ url }))
    expect(issues.map((issue) => issue.message).join('\n')).toContain(message)
    expect(JSON.stringify(issues)).not.toContain('hunter2')
  })

  it('is refused with everything that is wrong', () => {
    const { issues } = errorOf(() => createHttpPasswords({ url: 'ftp://x/{a}', username: 'a:b' }))
    expect(issues.map(({ path }) => path)).toEqual(['url', 'url', 'url', 'username', 'username'])
  })
})

it('a name that the service does not take fails alone, and tells of no outage', async () => {
  const states: string[] = []
  const service = await serve(({ path }, response) => {
    response.statusCode = path.includes('odd') ? 400 : 200
    response.end('word')
  })
  const store = storeOf({
    url: `${service.url}${PATH}`,
    onState: (state, code) => states.push(`${state} ${code}`),
  })
  await expect(find(store, 'odd')).rejects.toMatchObject({ fault: 'status' })
  expect(await find(store, 'alice')).toBeDefined()
  expect(states).toEqual([])
})
