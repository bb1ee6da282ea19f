import { vendorDescription, type VendorDescription } from '../vendor-apis.ts'

let description: VendorDescription | null | undefined

/** Where the vendor's description of 2023 is wrong: it calls the props of a patch text, and the server takes an object alone. */
function asDescribed(method: string, body: unknown): unknown {
  if (method !== 'PUT' || typeof body !== 'object' || body === null) return body
  const { props: _, ...rest } = body as Record<string, unknown>
  return rest
}

/** Throws when the vendor's own description, where it is at hand (VENDOR_APIS), does not allow what the bot sent. */
export function checkWithVendor(call: {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly answered: { readonly status: number }
}): void {
  description ??= vendorDescription('mattermost-v4.json')
  if (!description || call.answered.status >= 400) return
  const { method, path, body } = call
  const problem = description.problemWith(method, `/api/v4${path}`, asDescribed(method, body))
  if (problem !== null) throw new Error(`${method} ${path} is not as Mattermost describes it: ${problem}`)
}
