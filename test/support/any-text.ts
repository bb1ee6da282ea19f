import fc from 'fast-check'

const CODE_POINTS = 0x110000
const SURROGATES = { from: 0xd800, count: 0x800 }

/** Any Unicode scalar value, ASCII and what stands beside it more often than all else. */
const anyCharacter = fc
  .oneof(fc.nat(0xff), fc.nat(CODE_POINTS - SURROGATES.count - 1))
  .map((n) => String.fromCodePoint(n < SURROGATES.from ? n : n + SURROGATES.count))

/** As fc.string({ unit: 'binary' }), whose table of characters takes a second to make in each process. */
export const anyText = (constraints: { readonly maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.string({ ...constraints, unit: anyCharacter })
