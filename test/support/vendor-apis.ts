import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'

/** A vendor's own description of its API (OpenAPI 3.0 as JSON), for checking what we sent. */
export interface VendorDescription {
  /** What is wrong with the body, or null. Operations that the description does not have are not judged. */
  problemWith(method: string, path: string, body: unknown): string | null
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: object
}

interface Operation {
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }
}

/** null: the variable VENDOR_APIS names no folder. The descriptions are not in the repository: some have no free licence. */
export function vendorDescription(file: string): VendorDescription | null {
  const folder = process.env['VENDOR_APIS']
  if (folder === undefined || folder === '') return null
  const api = JSON.parse(readFileSync(join(folder, file), 'utf8')) as OpenApi
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema({ $id: 'api', components: api.components ?? {} })
  const templates = Object.entries(api.paths).map(([template, operations]) => ({
    path: pathPattern(template),
    operations,
  }))
  return {
    problemWith(method, path, body) {
      const operations = templates.find((template) => template.path.test(path))?.operations
      const schema = operations?.[method.toLowerCase()]?.requestBody?.content?.['application/json']?.schema
      if (!schema) return null
      const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object)
      return validate(body) ? null : ajv.errorsText(validate.errors)
    },
  }
}

const pathPattern = (template: string): RegExp =>
  new RegExp(`^${template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+')}$`)
