// Messages of a client, as bytes: the simple and the extended protocol.
import { message } from './raw-postgres-client.ts'

export const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
export const int32 = (value: number): Buffer =>
  Buffer.from([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff])
export const text = (value: string): Buffer => Buffer.from(`${value}\0`)

export const query = (sql: string): Buffer => message('Q', text(sql))
export const parse = (name: string, sql: string): Buffer =>
  message('P', Buffer.concat([text(name), text(sql), int16(0)]))
export const bind = (portal: string, name: string, values: readonly string[] = []): Buffer => {
  const encoded = values.flatMap((value) => [int32(value.length), Buffer.from(value)])
  return message('B', Buffer.concat([text(portal), text(name), int16(0), int16(values.length), ...encoded, int16(0)]))
}
export const describe = (what: 'S' | 'P', name: string): Buffer =>
  message('D', Buffer.concat([Buffer.from(what), text(name)]))
export const execute = (portal: string, rows = 0): Buffer => message('E', Buffer.concat([text(portal), int32(rows)]))
export const close = (what: 'S' | 'P', name: string): Buffer =>
  message('C', Buffer.concat([Buffer.from(what), text(name)]))
export const SYNC = message('S')
export const FLUSH = message('H')
