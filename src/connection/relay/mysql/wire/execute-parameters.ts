// COM_STMT_EXECUTE: u8 0x17 | u32 statement | u8 cursor | u32 1 | NULL bitmap, one bit per parameter | u8 new types |
// (new types) per parameter: u8 type, u8 0x80 = unsigned | values, without those that are NULL
import { encodeParameters } from '../../../../formats/statement-parameters.ts'
import { MysqlReader } from './mysql-bytes.ts'
import { ProtocolError } from './protocol-error.ts'

export type ParameterTypes = readonly { readonly type: number; readonly isUnsigned: boolean }[]

const NULL_TYPE = 6

export interface Execution {
  /** From the command byte on; where it is not whole, its front */
  readonly payload: Buffer
  readonly isWhole: boolean
  /** Parameters of the statement */
  readonly count: number
  /** Those given before, null: none */
  readonly types: ParameterTypes | null
  /** Values that were sent ahead, by parameter: they have none here */
  readonly apart: ReadonlyMap<number, Uint8Array>
}

/**
 * The parameters of one execution for its record, as text; of one that is not whole, those that can be read. Null: what there
 * is cannot be read, for which the server will have its own answer.
 */
export function parametersOf({
  payload,
  isWhole,
  count,
  types,
  apart,
}: Execution): { readonly encoded: Buffer; readonly types: ParameterTypes | null } | null {
  if (count === 0) return { encoded: encodeParameters([]), types }
  try {
    const reader = new MysqlReader(payload, 10)
    const nulls = reader.raw(Math.ceil(count / 8))
    const given = reader.u8() === 1 ? readTypes(reader, count) : types
    if (!given) return null
    const values: (Uint8Array | null)[] = []
    for (const [index, type] of given.entries()) {
      const isNull = ((nulls[index >> 3] ?? 0) & (1 << (index & 7))) !== 0 || type.type === NULL_TYPE
      const value = apart.get(index) ?? (isNull ? null : valueOf(reader, type, isWhole))
      if (value === undefined) break
      values.push(value)
    }
    const encoded = encodeParameters(values)
    encoded.writeUInt16BE(count, COUNT_AT)
    return { encoded, types: given }
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof RangeError) return null
    throw error
  }
}

/** In what encodeParameters gives */
const COUNT_AT = 2

/** undefined: it is cut, in a payload that is not whole. */
function valueOf(
  reader: MysqlReader,
  { type, isUnsigned }: ParameterTypes[number],
  isWhole: boolean,
): Uint8Array | undefined {
  if (isWhole) return readValue(reader, type, isUnsigned)
  try {
    return readValue(reader, type, isUnsigned)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

function readTypes(reader: MysqlReader, count: number): ParameterTypes {
  return Array.from({ length: count }, () => ({ type: reader.u8(), isUnsigned: (reader.u8() & 0x80) !== 0 }))
}

const text = (value: string | number | bigint): Buffer => Buffer.from(String(value))

function readValue(reader: MysqlReader, type: number, isUnsigned: boolean): Buffer {
  switch (type) {
    case 1: {
      const bytes = reader.raw(1)
      return text(isUnsigned ? bytes.readUInt8() : bytes.readInt8())
    }
    case 2:
    case 13: {
      const bytes = reader.raw(2)
      return text(isUnsigned ? bytes.readUInt16LE() : bytes.readInt16LE())
    }
    case 3:
    case 9: {
      const bytes = reader.raw(4)
      return text(isUnsigned ? bytes.readUInt32LE() : bytes.readInt32LE())
    }
    case 8: {
      const bytes = reader.raw(8)
      return text(isUnsigned ? bytes.readBigUInt64LE() : bytes.readBigInt64LE())
    }
    case 4:
      return text(reader.raw(4).readFloatLE())
    case 5:
      return text(reader.raw(8).readDoubleLE())
    case 7:
    case 10:
    case 12:
      return text(dateTime(reader.raw(reader.u8())))
    case 11:
      return text(time(reader.raw(reader.u8())))
    default:
      // Texts, decimals, blobs, JSON: all have their length in front.
      return reader.raw(reader.lenenc())
  }
}

const two = (value: number): string => String(value).padStart(2, '0')

/** 0, 4, 7 or 11 bytes: u16 year, u8 month, day | u8 hour, minute, second | u32 microseconds */
function dateTime(bytes: Buffer): string {
  if (bytes.length === 0) return '0000-00-00'
  const reader = new MysqlReader(bytes)
  const date = `${String(reader.u16()).padStart(4, '0')}-${two(reader.u8())}-${two(reader.u8())}`
  if (reader.left === 0) return date
  const clock = `${date} ${two(reader.u8())}:${two(reader.u8())}:${two(reader.u8())}`
  return reader.left === 0 ? clock : `${clock}.${String(reader.u32()).padStart(6, '0')}`
}

/** 0, 8 or 12 bytes: u8 is negative | u32 days | u8 hour, minute, second | u32 microseconds */
function time(bytes: Buffer): string {
  if (bytes.length === 0) return '00:00:00'
  const reader = new MysqlReader(bytes)
  const sign = reader.u8() === 1 ? '-' : ''
  const hours = reader.u32() * 24 + reader.u8()
  const clock = `${sign}${two(hours)}:${two(reader.u8())}:${two(reader.u8())}`
  return reader.left === 0 ? clock : `${clock}.${String(reader.u32()).padStart(6, '0')}`
}
