import { pino } from 'pino'
import type { Logger } from '../env/log.js'
import type { LogLevel } from './config.js'

/** The daemon's log on stderr: JSON lines as pino writes them, or logfmt as dockerd does. */
export function createLog(level: LogLevel, format: 'text' | 'json'): Logger {
  const write = format === 'json' ? (line: string) => process.stderr.write(line) : writeText
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write })
}

function writeText(line: string): void {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const name = pino.levels.labels[Number(level)] ?? 'info'
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${logfmt(value)}`)
  process.stderr.write(`time=${logfmt(time)} level=${name} msg=${logfmt(msg)}${rest.join('')}\n`)
}

function logfmt(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text)
}
