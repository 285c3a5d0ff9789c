// @ts-check
/**
 * What a process and its sockets tell of themselves.
 */
import { readFileSync } from 'node:fs'

/** Every series of the edge. @param {string} url @returns {Promise<Map<string, number>>} */
export async function scrape(url) {
  const text = await (await fetch(url)).text()
  /** @type {Map<string, number>} */
  const series = new Map()
  for (const line of text.split('\n')) {
    const [, name, value] = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line) ?? []
    if (name !== undefined) series.set(name, Number(value))
  }
  return series
}

/** Sum of a metric's series whose labels include this text. @param {Map<string, number>} series @param {string} metric @param {string} [label] */
export function sum(series, metric, label = '') {
  let total = 0
  for (const [name, value] of series) {
    if ((name === metric || name.startsWith(`${metric}{`)) && name.includes(label)) total += value
  }
  return total
}

/**
 * What the kernel dropped on each party's sockets, as /proc/net/udp has it.
 * @param {Record<string, string>} parties their addresses @param {number} port
 */
export function kernelDrops(parties, port) {
  const rows = readFileSync('/proc/net/udp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
  /** @param {string} address */
  const dropsAt = (address) => {
    const bytes = address.split('.').map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
    const local = `${bytes.toReversed().join('')}:${port.toString(16).toUpperCase().padStart(4, '0')}`
    return rows.filter((row) => row[1] === local).reduce((total, row) => total + Number(row.at(-1)), 0)
  }
  return Object.fromEntries(Object.entries(parties).map(([party, address]) => [party, dropsAt(address)]))
}

/** Resident memory, MiB, and processor time, seconds, of a process. @param {number} pid */
export function usage(pid) {
  const [, rss = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { rss: Number(rss) / 1024, cpu: (Number(fields[11]) + Number(fields[12])) / 100 }
}

/** Time in which the first core was busy with anything, seconds. */
export function coreBusy() {
  const [, line = ''] = /^cpu0 (.*)$/m.exec(readFileSync('/proc/stat', 'latin1')) ?? []
  const times = line.trim().split(' ').map(Number)
  const [, , , idle = 0, waiting = 0] = times
  return (times.reduce((all, time) => all + time, 0) - idle - waiting) / 100
}

/** To two digits. @param {number} value */
export const round = (value) => Math.round(value * 100) / 100
