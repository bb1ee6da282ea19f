import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import type { Call } from './fake-web-api.ts'

/**
 * What is wrong with what was sent, by Slack's own description of each method; empty too where VENDOR_APIS names no folder. Methods that
 * the folder does not have are not judged. Blocks and views are not described there.
 */
export function problemsWithSlack(calls: readonly Call[]): string[] {
  const folder = process.env['VENDOR_APIS']
  if (folder === undefined || folder === '') return []
  const ajv = new Ajv({ strict: false, coerceTypes: true, allErrors: true, validateFormats: false })
  return calls.flatMap(({ method, args }) => {
    const file = join(folder, 'slack', 'methods', `${method}.json`)
    if (!existsSync(file)) return []
    const { args: shape } = JSON.parse(readFileSync(file, 'utf8')) as { args: object }
    const validate = ajv.compile({ ...shape, additionalProperties: false })
    // The token is in the header; in a form objects are JSON, and only `view` is described as what it is.
    const view = typeof args['view'] === 'string' ? { view: JSON.parse(args['view']) as unknown } : {}
    return validate({ token: 'xoxb', ...args, ...view }) ? [] : [`${method}: ${ajv.errorsText(validate.errors)}`]
  })
}
