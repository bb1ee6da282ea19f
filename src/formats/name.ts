// Name grammar of users, roles and resources (the same as contract/common.ts Name, which may import zod alone).

const SHAPE = /^[a-z0-9][a-z0-9._-]{0,62}$/
const ASCII = /^[\x20-\x7e]*$/

export type NormalisedName =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly message: string }

/**
 * `Alice` -> `alice`. Whatever is not ASCII after NFC, and whatever became ASCII only through NFC (the Kelvin sign, a
 * full-width a), is refused: two texts that look alike never name two things, nor one.
 */
export function normaliseName(text: string): NormalisedName {
  if (!ASCII.test(text)) return { ok: false, message: 'a name has only ASCII characters' }
  const name = text.normalize('NFC').toLowerCase()
  if (!SHAPE.test(name))
    return { ok: false, message: 'a name is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit' }
  return { ok: true, name }
}
