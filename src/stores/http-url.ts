/**
 * URLs of services as an operator writes them.
 * @module
 */

/** A URL that can be asked, or what is wrong with it, in words that do not repeat it: a query may hold a secret. */
export function readHttpUrl(text: string): URL | string {
  if (!URL.canParse(text)) return 'is no URL: write https://host/path'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https:// or http://'
  if (url.username !== '' || url.password !== '')
    return 'must not hold a user or password: they stand in settings of their own'
  return url
}

/** `Authorization` of scheme Basic (RFC 7617), as the secret that it is. */
export function basicText(username: string, password: string): Buffer {
  return Buffer.from(`Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`, 'latin1')
}
