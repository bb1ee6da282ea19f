import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { parseAllDocuments, parse } from 'yaml'
import { serialise } from './output.ts'
import { toYaml } from './to-yaml.ts'

test('YAML keeps every text and prints no unsafe character', async () => {
  await fc.assert(
    fc.asyncProperty(anyText(), async (text) => {
      // Half of a surrogate pair has no form in YAML.
      fc.pre(text.isWellFormed())
      const printed = await serialise('yaml', { text, list: [text] })
      expect(parse(printed)).toEqual({ text, list: [text] })
      expect(printed.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    }),
  )
})

test('several values are several documents', () => {
  const documents = parseAllDocuments(toYaml([{ a: 1 }, { b: 2 }]))
  expect(documents.map((each) => each.toJS() as unknown)).toEqual([{ a: 1 }, { b: 2 }])
})
