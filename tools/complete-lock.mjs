// @ts-check
/**
 * Adds to package-lock.json the platform packages that its optional dependencies name and that npm left out because the
 * registry it asked does not carry them. Without their entries a recent `npm ci` calls the lock out of sync; with them it
 * passes over what is for another platform. Run it after `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const path = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(path, 'utf8'))
const OS = /\b(android|darwin|freebsd|linux|openharmony|win32)\b/
const CPU = /\b(arm64|x64|ia32|arm|ppc64|riscv64|s390x)\b/

for (const { optionalDependencies = {}, dev } of Object.values({ ...lock.packages })) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const key = `node_modules/${name}`
    const os = OS.exec(name)?.[1]
    const cpu = CPU.exec(name)?.[1]
    if (lock.packages[key] !== undefined || os === undefined || cpu === undefined) continue
    const libc =
      name.endsWith('musl') || name.includes('musl')
        ? { libc: ['musl'] }
        : name.includes('gnu')
          ? { libc: ['glibc'] }
          : {}
    lock.packages[key] = { version, cpu: [cpu], ...(dev && { dev }), ...libc, optional: true, os: [os] }
  }
}
const [root, ...others] = Object.entries(lock.packages)
lock.packages = Object.fromEntries([root, ...others.toSorted(([a], [b]) => (a < b ? -1 : 1))])
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
